"""Notes, titles and escaping that tables and figures share."""

from __future__ import annotations

from vise_core.specs.models.backbones import BACKBONES

STOPPED = "early stopping: points of the grid that fell behind were not trained to the end, and not chosen"
DIVERGED = "diverged: points of the grid whose loss or logits were not finite, and not chosen"


def backbone_title(name: str | None) -> str:
    """Return a backbone's name as the paper writes it; empty for None."""
    if name is None:
        return ""
    return BACKBONES[name].title if name in BACKBONES else name


def markdown_escape(text: str) -> str:
    """Escape a text so that Markdown shows it as it is, on one line."""
    for character in "\\|*_`[]<>":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


def not_a_formula(text: str) -> str:
    """Quote a name such as =cmd(), which a spreadsheet would run as a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
