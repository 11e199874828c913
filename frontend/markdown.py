"""Text of users in Markdown."""

from __future__ import annotations


def escape(text: str) -> str:
    """Text that Streamlit's Markdown shows as it stands: no markup, link, colour or formula comes from data."""
    for character in "\\[]*_`<>$:#|":
        text = text.replace(character, f"\\{character}")
    return text
