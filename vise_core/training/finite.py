"""Check that the tensors of a network or a training are finite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def not_finite(state: Mapping[str, Any]) -> str | None:
    """Return the dotted name of the first tensor with NaN or infinity in a nested state; None where all are finite."""
    tensors = dict(_tensors(state))
    if not tensors:
        return None
    # One transfer for all tensors: each on its own would wait for the device.
    largest = torch.stack(
        [norm.float().cpu() for norm in torch._foreach_norm(list(tensors.values()), ord=math.inf)]
    )
    places = (~torch.isfinite(largest)).nonzero()
    return list(tensors)[int(places[0])] if len(places) else None


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.numel():
            yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _tensors(part, f"{name}.{key}" if name else str(key))
