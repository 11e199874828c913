"""In which precision and memory layout the networks of an evaluation compute."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from vise_core.errors import BadInput
from vise_core.specs.base import Compute


def precision(compute: Compute, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision, None for plain float32. Raises BadInput for fp16 without a GPU."""
    amp = compute.amp
    if amp == "auto":
        amp = "fp16" if device.type == "cuda" else "off"
    if amp == "fp16" and device.type != "cuda":
        raise BadInput("compute.amp: fp16 needs a GPU; use bf16 or off")
    return {"off": None, "fp16": torch.float16, "bf16": torch.bfloat16}[amp]


def autocast(compute: Compute, device: torch.device) -> AbstractContextManager[Any]:
    """Mixed precision inside the block, or nothing."""
    dtype = precision(compute, device)
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def memory_format(compute: Compute, device: torch.device) -> torch.memory_format:
    """NHWC only where there are tensor cores to gain from it."""
    nhwc = compute.channels_last and device.type == "cuda"
    return torch.channels_last if nhwc else torch.contiguous_format
