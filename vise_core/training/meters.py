"""Meters of a training: means of losses and measures, seconds and throughput."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .distributed import Group

WINDOW, EPOCH, LAST_EPOCH = range(3)


class Meters:
    """Sums of losses and measures: since the last point of the curves, over this epoch, over the epoch before.

    The sums stay on the device, so that no step waits for its loss. They are part of the saved state, so that the
    curves of a resumed run are the same.

    Attributes
    ----------
    names: names of the values, in the order of the columns.
    sums: (3, names) float64 on the device; rows WINDOW, EPOCH, LAST_EPOCH.
    counts: the divisor of each row's sum for its mean.
    """

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = tuple(names)
        self.sums = torch.zeros(3, len(self.names), dtype=torch.float64, device=device)
        self.counts = [0, 0, 0]

    def add(self, values: Mapping[str, Tensor], *, weight: int = 1) -> None:
        """Add scalar tensors by name, each times ``weight``, without waiting for the device."""
        row = torch.stack([values[name].detach() for name in self.names]).double()
        self.sums[:LAST_EPOCH] += row if weight == 1 else row * weight

    def count(self, units: int = 1, *, epoch_ends: bool = False) -> None:
        """Add ``units`` to the divisors of the means: iterations for values that are summed over parts, images for means."""
        self.counts[WINDOW] += units
        self.counts[EPOCH] += units
        if epoch_ends:
            self.sums[LAST_EPOCH], self.counts[LAST_EPOCH] = self.sums[EPOCH], self.counts[EPOCH]
            self.sums[EPOCH], self.counts[EPOCH] = 0, 0

    def window_means(self, group: Group) -> dict[str, float]:
        """Return the means since the last call, over all processes, and start a new window. Waits for the device."""
        means = (group.sum(self.sums[WINDOW]) / max(self.counts[WINDOW], 1)).tolist()
        self.sums[WINDOW], self.counts[WINDOW] = 0, 0
        return dict(zip(self.names, means, strict=True))

    def gather(self, group: Group) -> None:
        """Move the sums of all processes to rank 0, which saves them."""
        total = group.sum(self.sums)
        self.sums = total if group.is_leader else torch.zeros_like(total)

    def last_epoch(self) -> dict[str, float]:
        """Return the means over the last finished epoch; in rank 0 after ``gather``, those of all processes."""
        means = self.sums[LAST_EPOCH] / max(self.counts[LAST_EPOCH], 1)
        return dict(zip(self.names, means.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, on the CPU, and the counts, for ``load_state_dict``."""
        return {"sums": self.sums.cpu(), "counts": list(self.counts)}

    def load_state_dict(self, state: Mapping[str, Any], group: Group) -> None:
        """Restore a saved state. Its sums are those of all processes: rank 0 restores them, the others start at 0."""
        self.counts = [int(count) for count in state["counts"]]
        self.sums.copy_(state["sums"] if group.is_leader else torch.zeros_like(state["sums"]))


class Clock:
    """Clock of a training: seconds, throughput, and when the next state is to be saved.

    ``images`` and ``seconds`` are those of earlier attempts at a resumed training.
    """

    def __init__(self, checkpoint_seconds: float, *, images: int = 0, seconds: float = 0.0) -> None:
        self._every = checkpoint_seconds
        self._start = self._lap = self._saved = time.perf_counter()
        self._before = seconds
        self._lap_images = images

    def throughput(self, images: int) -> float:
        """Return images/s since the last call; ``images`` counts those of the whole training so far."""
        now = time.perf_counter()
        rate = (images - self._lap_images) / max(now - self._lap, 1e-9)
        self._lap, self._lap_images = now, images
        return rate

    def seconds(self) -> float:
        """Return the seconds of the whole training so far, those of earlier attempts included."""
        return self._before + max(time.perf_counter() - self._start, 1e-9)

    def checkpoint_due(self) -> bool:
        """Return whether ``checkpoint_seconds`` have passed since the last call of ``saved``."""
        return time.perf_counter() - self._saved >= self._every

    def saved(self) -> None:
        """Record that a state was saved now."""
        self._saved = time.perf_counter()
