"""Pydantic models of every stage's spec and result: the one source of defaults, names and limits."""
