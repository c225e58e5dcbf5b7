"""What happens to a delivery before its rows are judged."""
