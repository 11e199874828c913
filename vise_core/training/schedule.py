"""Parts of learning-rate schedules (App. C.1, C.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

REFERENCE_BATCH = 256


def scaled_rate(base_lr: float, batch: int) -> float:
    """Return the learning rate of a global batch: base_lr / 256 × batch (App. C.1, C.3)."""
    return base_lr / REFERENCE_BATCH * batch


def milestones_passed(milestones: Sequence[float], now: float) -> int:
    """Return the number of milestones reached at ``now``, both in epochs or both in iterations."""
    return sum(now >= milestone for milestone in milestones)


def half_cosine(share: float) -> float:
    """Return the factor of a cosine decay, 1 at share 0 and 0 at share 1 of its length."""
    return (1 + math.cos(math.pi * share)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate
