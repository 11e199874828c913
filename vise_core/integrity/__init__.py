"""Is a number worth believing? Near-duplicates, leaks, overlap of splits, balance of labels (method 7, trap 12)."""
