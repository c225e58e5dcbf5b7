"""Proofs of the border: schemas, validation, cross-row rules, pseudonyms, quarantine."""
