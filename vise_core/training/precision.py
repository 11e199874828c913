"""Mixed precision and memory layout: one rule for every stage that runs or trains a network.

The float type follows from ``compute.amp`` and the device, the memory layout from ``compute.channels_last`` alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from vise_core.errors import BadInput
from vise_core.specs.compute import Amp


def amp_dtype(amp: Amp, device: torch.device) -> torch.dtype | None:
    """Return the dtype of autocast: torch.float16, torch.bfloat16, or None for plain float32.

    ``auto`` is fp16 on a GPU and off on a CPU. Raises BadInput for fp16 on a CPU, which has no fast kernels for it.
    """
    if amp == "auto":
        amp = "fp16" if device.type == "cuda" else "off"
    if amp == "fp16" and device.type != "cuda":
        raise BadInput(
            "compute.amp: fp16 needs a GPU, and this run computes on a CPU; choose auto, bf16 or off"
        )
    return {"off": None, "fp16": torch.float16, "bf16": torch.bfloat16}[amp]


def autocast(amp: Amp, device: torch.device) -> AbstractContextManager[object]:
    """Return a context of mixed precision. Raises BadInput as ``amp_dtype`` does."""
    dtype = amp_dtype(amp, device)
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def grad_scaler(amp: Amp, device: torch.device) -> torch.amp.GradScaler:
    """Return a loss scaler, enabled under fp16 only: bf16 has the exponents of float32 and needs none."""
    return torch.amp.GradScaler(device.type, enabled=amp_dtype(amp, device) is torch.float16)


def memory_format(channels_last: bool) -> torch.memory_format:
    """Return the memory layout of networks and images: NHWC for ``channels_last``, else NCHW.

    NHWC is faster on a CPU too: oneDNN convolves ResNets in 0.5 to 0.9 of the time of NCHW.
    """
    return torch.channels_last if channels_last else torch.contiguous_format
