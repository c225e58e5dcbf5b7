"""Who does what when: one module per step of the nightly flow, named for the step.

Not here: what a good row is (``schemas/``) and what the numbers mean (``dbt_project/``).
"""
