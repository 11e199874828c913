"""Detection of divergence: recorded on the device at each step, read where the run waits for the device anyway."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .distributed import Group

NEVER = 2**62
LEAST_SCALE = 2.0**-10
"""Loss scale of fp16 below which gradients that are not finite mean divergence, not overflow."""


class Watch:
    """Record of the first iteration whose loss or gradients are not finite.

    Attributes
    ----------
    first: () int64 on the device, counted from 1; NEVER where all was finite so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.first = torch.full((), NEVER, dtype=torch.int64, device=device)
        self._not_finite = torch.zeros((), dtype=torch.bool, device=device)

    def add(self, loss: Tensor) -> None:
        """Check that the loss of a part of a batch, a scalar tensor, is finite, without waiting for the device."""
        self._not_finite |= ~torch.isfinite(loss.detach())

    def step(
        self, iteration: int, weights: Sequence[Tensor], optimizer: torch.optim.Optimizer, *, scaled: bool
    ) -> None:
        """Check that the gradients are finite, before the optimizer's step of iteration ``iteration``, counted from 1.

        With gradients that are not finite a fused optimizer leaves the weights as they are. Under a loss scaler
        (``scaled``) gradients are not checked here: the scaler skips steps whose gradients overflow at its scale, which
        is no divergence.
        """
        if not scaled:
            grads = [weight.grad for weight in weights if weight.grad is not None]
            # The largest absolute value: a sum of squares would overflow before the gradients do.
            largest = torch.stack(torch._foreach_norm(grads, ord=math.inf))
            overflows = ~torch.isfinite(largest).all()
            optimizer.found_inf = overflows.float()  # type: ignore[attr-defined]
            self._not_finite |= overflows
        now = torch.full_like(self.first, iteration)
        self.first = torch.where(self._not_finite, torch.minimum(self.first, now), self.first)
        self._not_finite = torch.zeros_like(self._not_finite)

    def read(self, group: Group) -> int | None:
        """Return the first iteration that was not finite in any process, or None. Waits for the device."""
        first = int(group.min(self.first))
        return None if first == NEVER else first
