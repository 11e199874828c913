"""Decoding untrusted images, and storing them as plain 8-bit RGB."""
