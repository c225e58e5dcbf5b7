"""What the night costs, against one plain DuckDB script that reads the same files and computes the same figures."""
