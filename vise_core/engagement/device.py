"""Where the features and clusters of comments are computed."""

from __future__ import annotations

from typing import Literal

from vise_core.errors import BadInput

Chosen = Literal["auto", "cpu", "cuda"]
"""As ``specs.base.Compute`` has it."""


def pick_device(chosen: str) -> str:
    """cpu or cuda. Raises BadInput for a GPU that is not there."""
    if chosen == "cpu":
        return chosen
    # Here, not above: what is told to use the CPU must not wait for torch.
    import torch

    if chosen == "cuda" and not torch.cuda.is_available():
        raise BadInput("compute.device is cuda, but this machine has no GPU that torch can use")
    return "cuda" if torch.cuda.is_available() else "cpu"
