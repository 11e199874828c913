"""Notes and titles that tables and figures share."""

from __future__ import annotations

from vise_core.specs.models.backbones import BACKBONES

STOPPED = "early stopping: points of the grid that fell behind were not trained to the end, and not chosen"
DIVERGED = "diverged: points of the grid whose loss or logits were not finite, and not chosen"


def backbone_title(name: str | None) -> str:
    """Return a backbone's name as the paper writes it; empty for None."""
    if name is None:
        return ""
    return BACKBONES[name].title if name in BACKBONES else name
