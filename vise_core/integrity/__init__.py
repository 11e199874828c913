"""Integrity checks of results: near-duplicates, leaks, overlap of splits, balance of labels (method 7, trap 12)."""
