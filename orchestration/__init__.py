"""Who does what when: one module per step of the nightly flow, named for the step. No rule about rows or figures here."""
