"""The ledger: Parquet landed exactly once, and DuckDB over it."""
