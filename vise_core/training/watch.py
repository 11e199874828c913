"""Whether a training is still of finite numbers: looked at on the device at each step, read where a run waits anyway."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .distributed import Group

NEVER = 2**62
LEAST_SCALE = 2.0**-10
"""Loss scale of mixed precision below which gradients are not too large for it, but not finite at all."""


class Watch:
    """Notes the first iteration whose loss or gradients are not finite, without waiting for the device.

    Attributes
    ----------
    first: () int64 on the device, counted from 1; NEVER where all was finite so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.first = torch.full((), NEVER, dtype=torch.int64, device=device)
        self._lost = torch.zeros((), dtype=torch.bool, device=device)

    def add(self, loss: Tensor) -> None:
        """Look at the loss of a part of a batch."""
        self._lost |= ~torch.isfinite(loss.detach())

    def step(
        self, iteration: int, weights: Sequence[Tensor], optimizer: torch.optim.Optimizer, *, scaled: bool
    ) -> None:
        """Look at the gradients before the optimizer takes iteration ``iteration``'s step.

        With gradients that are not finite a fused optimizer leaves the weights as they are. Under a loss scaler
        (``scaled``) that is its own business: gradients that are too large for the scale are skipped as a matter of
        course, and say nothing about the training.
        """
        if not scaled:
            grads = [weight.grad for weight in weights if weight.grad is not None]
            # The largest absolute value: a sum of squares would overflow before the gradients do.
            largest = torch.stack(torch._foreach_norm(grads, ord=math.inf))
            lost = ~torch.isfinite(largest).all()
            optimizer.found_inf = lost.float()  # type: ignore[attr-defined]
            self._lost |= lost
        now = torch.full_like(self.first, iteration)
        self.first = torch.where(self._lost, torch.minimum(self.first, now), self.first)
        self._lost = torch.zeros_like(self._lost)

    def read(self, group: Group) -> int | None:
        """The first iteration that was not finite, in whatever process; waits for the device."""
        first = int(group.least(self.first))
        return None if first == NEVER else first
