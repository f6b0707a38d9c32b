"""The workers: pure steps over a batch of decisions, and the thin runners that drive them."""
