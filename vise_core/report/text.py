"""Names that users chose, made harmless for the format they end in; a note that tables share."""

from __future__ import annotations

STOPPED = "early stopping: points of the grid that fell behind were not trained to the end, and not chosen"
DIVERGED = "diverged: points of the grid whose loss or logits were not finite, and not chosen"


def markdown_escape(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    for character in "\\|*_`[]<>":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


def not_a_formula(text: str) -> str:
    """A spreadsheet would run a name such as =cmd(); the quote makes it text."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
