"""Importing data sets: downloads, archives, recognition of layouts, and surveys."""
