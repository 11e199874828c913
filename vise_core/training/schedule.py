"""The parts that learning-rate rules are made of (App. C.1, C.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

REFERENCE_BATCH = 256


def scaled_rate(base_lr: float, batch: int) -> float:
    """Return the learning rate of a global batch: base_lr / 256 × batch (App. C.1, C.3)."""
    return base_lr / REFERENCE_BATCH * batch


def milestones_passed(milestones: Sequence[float], now: float) -> int:
    """Count the milestones that are reached at ``now``, in the same unit: epochs or iterations."""
    return sum(now >= milestone for milestone in milestones)


def half_cosine(share: float) -> float:
    """Return the factor of a cosine decay, 1 at share 0 and 0 at share 1 of its length."""
    return (1 + math.cos(math.pi * share)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Take the following steps with ``rate``, for all weights alike."""
    for group in optimizer.param_groups:
        group["lr"] = rate
