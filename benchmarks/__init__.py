"""Measures of what the product promises of its speed, each against a reference in the same run."""
