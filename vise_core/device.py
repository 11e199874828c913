"""Choice of the device that a stage computes on, from its ``compute.device``."""

from __future__ import annotations

from typing import Literal

from .errors import BadInput


def pick_device(chosen: str) -> Literal["cpu", "cuda"]:
    """Return the kind of device that ``compute.device`` means on this machine.

    ``auto`` is cuda where torch sees a GPU, else cpu. Does not import torch for ``cpu``.
    Raises BadInput for cuda where no GPU is visible.
    """
    if chosen == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if chosen == "cuda":
        raise BadInput(
            "compute.device is cuda, but this process sees no GPU that torch can use: choose auto or cpu"
        )
    return "cpu"
