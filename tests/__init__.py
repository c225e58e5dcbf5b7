"""The proofs. ``deliveries.py`` writes what the other party would deliver; nothing here is shipped."""
