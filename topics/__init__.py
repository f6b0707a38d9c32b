"""What flows between stages: each topic declared once, and the log protocol both brokers keep."""
