"""Sentences to vectors: encoders that ``transformers`` loads from a local folder."""
