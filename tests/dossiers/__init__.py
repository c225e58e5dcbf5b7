"""Proofs of the exchange format: XML answers in, text Parquet out. All persons and dossiers here are invented."""
