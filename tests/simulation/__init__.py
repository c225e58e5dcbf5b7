"""The simulated registry, held against the delivery contract."""
