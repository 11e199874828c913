"""The linear heads of all splits and of the whole grid, trained together in batched products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

State = dict[str, Tensor]

ADAMW_BETAS, ADAMW_EPS = (0.9, 0.999), 1e-8


class HeadBatch:
    """Linear softmax classifiers of s splits with g grid points each, stepped together.

    The heads of a split see the same batches in the same order; each split has its own batches. Every head ends where
    training it alone with ``torch.optim.SGD`` or ``AdamW`` would end; one batched matrix product computes all.

    Attributes
    ----------
    weight: (s, g, classes, features) float32. bias: (s, g, classes) float32.
    counts: number of heads that each split still trains; after ``keep`` the rest of its g are copies of its first.
    """

    def __init__(
        self,
        heads: Sequence[nn.Linear],
        weight_decays: Sequence[float],
        optimizer: Literal["sgd", "adamw"],
        momentum: float,
    ) -> None:
        """Start all g heads of a split as copies of that split's head in ``heads``."""
        g = len(weight_decays)
        self.weight = torch.stack([head.weight.detach().float().expand(g, -1, -1) for head in heads])
        self.bias = torch.stack([head.bias.detach().float().expand(g, -1) for head in heads])
        self.counts = [g] * len(heads)
        decay = torch.tensor(weight_decays, dtype=torch.float32, device=self.weight.device)
        self._decay = decay.repeat(len(heads), 1)
        self._optimizer, self._momentum = optimizer, momentum
        self._moments = {
            name: [torch.zeros_like(self.weight), torch.zeros_like(self.bias)]
            for name in (("first",) if optimizer == "sgd" else ("first", "second"))
        }
        self._steps = torch.zeros(len(heads), dtype=torch.int64)
        self._classes = torch.arange(self.bias.shape[-1], device=self.bias.device)[:, None]

    def logits(self, split: int, features: Tensor) -> Tensor:
        """Return the logits of (n, features) float32 under a split's heads, (counts[split], n, classes)."""
        weight, bias = self.weight[split, : self.counts[split]], self.bias[split, : self.counts[split]]
        flat = weight.flatten(0, 1) @ features.T
        return (flat.view(*bias.shape, -1) + bias[..., None]).transpose(1, 2)

    @torch.no_grad()
    def step(
        self, features: Tensor, labels: Tensor, rates: Tensor, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """Take one optimizer step with the first k splits, each on its own batch; the others are not changed.

        Parameters
        ----------
        features: (k, b, features) float32. labels: (k, b) int64. rates: (k, g) learning rates.
        sizes: number of rows of each batch that count; the rest is padding. None: all.

        Returns the (k, g) mean cross-entropies before the step.
        """
        (k, b), (g, classes) = labels.shape, self.bias.shape[1:]
        log_p = torch.log_softmax(self._batch_logits(features).view(k, g, classes, b), 2)
        shares = self._shares(sizes, b)
        truth = (labels[:, None, None] == self._classes).mul(shares)
        losses = (log_p * truth).sum((2, 3)).neg_()
        # d(mean cross-entropy)/d(logits) = (p - one-hot) / n
        slope = log_p.exp_().mul_(shares).sub_(truth)
        self._steps[:k] += 1
        update = self._sgd if self._optimizer == "sgd" else self._adamw
        rate, decay = rates[..., None, None], self._decay[:k, :, None, None]
        update(0, self.weight[:k], slope, features, rate, decay)
        update(1, self.bias[:k, ..., None], slope, None, rate, decay)
        return losses

    def _batch_logits(self, rows: Tensor) -> Tensor:
        """Return the logits of (k, b, features) under all heads, (k, g * classes, b)."""
        weight, bias = self.weight[: len(rows)].flatten(1, 2), self.bias[: len(rows)].flatten(1)
        # Rows last: on a CPU the product then takes three quarters of the time, and the softmax a tenth.
        return torch.baddbmm(bias[..., None], weight, rows.transpose(1, 2))

    def _shares(self, sizes: Sequence[int] | None, b: int) -> Tensor | float:
        """Return the weight of each row in the mean over its batch, (k, 1, 1, b), or a number where all are equal."""
        device = self.weight.device
        if sizes is None or min(sizes) == b:
            return 1 / b
        count = torch.tensor(sizes, device=device)[:, None]
        return ((torch.arange(b, device=device) < count) / count)[:, None, None]

    # Both update value (k, g, classes, d). The gradient is the product of slope (k, g, classes, b) and rows (k, b, d),
    # which is added to the momentum without a copy. For a bias, whose input is 1, rows is None.

    def _sgd(
        self, i: int, value: Tensor, slope: Tensor, rows: Tensor | None, rate: Tensor, decay: Tensor
    ) -> None:
        # torch.optim.SGD: decay joins the gradient, momentum without damping.
        first = self._moments["first"][i][: len(value)].view_as(value)
        if rows is None:
            first.mul_(self._momentum).add_(slope.sum(-1, keepdim=True))
        else:
            first.flatten(1, 2).baddbmm_(slope.flatten(1, 2), rows, beta=self._momentum)
        first.addcmul_(value, decay)
        value.addcmul_(first, rate, value=-1)

    def _adamw(
        self, i: int, value: Tensor, slope: Tensor, rows: Tensor | None, rate: Tensor, decay: Tensor
    ) -> None:
        (beta1, beta2), k = ADAMW_BETAS, len(value)
        first, second = (self._moments[name][i][:k].view_as(value) for name in ("first", "second"))
        steps = self._steps[:k].view(-1, 1, 1, 1).double()
        small1, small2 = ((1 - beta**steps).float().to(value.device) for beta in ADAMW_BETAS)
        gradient = (
            slope.sum(-1, keepdim=True)
            if rows is None
            else torch.bmm(slope.flatten(1, 2), rows).view_as(value)
        )
        value *= 1 - rate * decay
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        spread = (second / small2).sqrt_().add_(ADAMW_EPS)
        value -= rate / small1 * first / spread

    def keep(self, positions: Sequence[Sequence[int]]) -> None:
        """Keep only the heads at these positions of each split, in this order, with their optimizer state."""
        self.counts = [len(kept) for kept in positions]
        # Splits may keep different numbers of heads: the others are padded with copies of their first.
        most = max(self.counts)
        filled = [[*kept, *[kept[0]] * (most - len(kept))] for kept in positions]
        at = torch.tensor(filled, dtype=torch.int64, device=self.weight.device)
        split = torch.arange(len(filled), device=self.weight.device)[:, None]
        self.weight, self.bias, self._decay = (
            self.weight[split, at],
            self.bias[split, at],
            self._decay[split, at],
        )
        self._moments = {name: [m[split, at] for m in pair] for name, pair in self._moments.items()}

    def state(self, split: int) -> State:
        """Return the weights and optimizer state of a split's heads on the CPU, for ``load_state``."""
        kept = self.counts[split]
        tensors = {"weight": self.weight[split, :kept], "bias": self.bias[split, :kept]}
        for name, pair in self._moments.items():
            tensors |= {f"{name}.weight": pair[0][split, :kept], f"{name}.bias": pair[1][split, :kept]}
        tensors["steps"] = self._steps[split]
        return {name: tensor.cpu().clone() for name, tensor in tensors.items()}

    def load_state(self, split: int, state: State) -> None:
        """Restore a split's heads from ``state``, which must hold as many heads."""
        for name, target in (("weight", self.weight), ("bias", self.bias)):
            self._fill(target, split, state[name])
            for moment, pair in self._moments.items():
                self._fill(pair[name == "bias"], split, state[f"{moment}.{name}"])
        self._steps[split] = state["steps"]

    def _fill(self, target: Tensor, split: int, values: Tensor) -> None:
        kept = self.counts[split]
        target[split, :kept] = values.to(target.device)
        target[split, kept:] = target[split, 0].clone()
