"""Text: tokens of comments, and sentence encoders that ``transformers`` loads from a local folder."""
