"""The steps that bring an older control plane database to this version's tables."""
