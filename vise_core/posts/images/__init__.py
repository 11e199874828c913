"""Decode untrusted images and store them as plain 8-bit RGB."""
