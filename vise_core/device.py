"""Where a stage computes."""

from __future__ import annotations

from typing import Literal

from .errors import BadInput


def pick_device(chosen: str) -> Literal["cpu", "cuda"]:
    """From ``Compute.device`` to what there is. Raises BadInput for a GPU that is not there."""
    if chosen == "cpu":
        return "cpu"
    # Here, not above: what is told to use the CPU must not wait for torch.
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if chosen == "cuda":
        raise BadInput(
            "compute.device is cuda, but this process sees no GPU that torch can use: choose auto or cpu"
        )
    return "cpu"
