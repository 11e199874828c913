"""Linear heads as combinations of the training features: SGD that multiplies less than half where images are few.

A step of SGD adds multiples of its batch's features to a head's weights and shrinks what is there (momentum, decay). So
the weights are always ``W = A · B``: the basis B is the weights that they began with and the features of all training
images, below each other, and A is what SGD has given to each of them. The logits of an image x are ``A · (B x)``. With
all ``B x`` computed once (a Gram matrix), a step is one product over the rows of B instead of two over the features, and
its gradient is the batch's slopes themselves, put into the batch's columns of A. Momentum and decay act on A as they
would on W. And since slopes add up to nothing over the classes, so do the columns of A: the last class needs no product.
Nothing is approximated: the same heads, to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from vise_core.evaluate.loading import Indices
from vise_core.tasks import Split
from vise_core.threads import compiled_threads

from .compiled import ALIGNED, row_products, train_epoch
from .heads import HeadBatch

GRAM_BYTES = 2**30
"""All Gram matrices of an evaluation together, at most."""
SIDE = 512
"""Rows of a Gram matrix that are multiplied at once; what is above the diagonal is copied."""


def gram_pays(splits: Sequence[Split], features: int, points: int, classes: int, epochs: int) -> bool:
    """Whether training as combinations is less work than on the features, and its matrices fit into memory.

    Counted are the multiplications of a whole training. A step on the features takes each image's logits and its part
    of the gradient; one on combinations its logits over all training images, a class less. The Gram matrix comes once,
    one half of it.
    """
    seen, judged = (sum(len(split[part]) for split in splits) for part in (0, 1))
    products = sum(len(split.train) * (len(split.train) + len(split.val)) for split in splits)
    images = len(_needed(splits))
    direct = epochs * points * classes * features * (2 * seen + judged)
    gram = epochs * points * (classes - 1) * products + images**2 * features // 2
    return classes > 1 and gram < direct and 4 * (products + images**2) <= GRAM_BYTES


class GramBatch(HeadBatch):
    """The heads of a ``HeadBatch`` under SGD as combinations, given the features of all images; on the CPU.

    Attributes
    ----------
    weight: (s, g, classes - 1, m) float32, A without its last class: a column for each of as many first weights, then
        one for each training image. Where a split has fewer than another, nothing is ever put into its last columns.
        First weights count as their difference from the mean over classes, which no softmax sees.
    """

    def __init__(
        self,
        heads: Sequence[nn.Linear],
        weight_decays: Sequence[float],
        momentum: float,
        features: Tensor,
        splits: Sequence[Split],
    ) -> None:
        """``features``: (n, features) float32 of all images. ``splits``: one for each of ``heads``."""
        super().__init__(heads, weight_decays, "sgd", momentum)
        self._heads, self._features = heads, features
        # In order, so that the columns of a Gram matrix are read in order.
        splits = [split._replace(train=np.sort(split.train)) for split in splits]
        self._trains = [torch.from_numpy(split.train) for split in splits]
        free = heads[0].out_features - 1
        first = [(head.weight - head.weight.mean(0))[:-1].detach() for head in heads]
        self._table, self._starts = _table(features, splits, first)
        self._columns = torch.zeros(len(splits), len(features), dtype=torch.int64)
        for columns, train in zip(self._columns, self._trains, strict=True):
            columns[train] = torch.arange(free, free + len(train))
        m = self._table.shape[1]
        self.weight = torch.eye(free, m).repeat(len(heads), len(weight_decays), 1, 1)
        self._moments["first"][0] = torch.zeros_like(self.weight)
        self._threads = _torch_threads()

    def columns(self, indices: Indices) -> Tensor:
        """Training images (k, b) of the first k splits → what ``step`` takes for their features, (k, b) int64."""
        return self._columns[: len(indices)].gather(1, torch.from_numpy(indices))

    def val_logits(self, split: int) -> Tensor:
        """(counts[split], n, classes) of the split's val images, in their order."""
        kept, start = self.counts[split], int(self._starts[split]) + len(self._trains[split])
        rows = torch.arange(start, int(self._starts[split + 1]))[None]
        products = self._products(rows, self.weight[split : split + 1, :kept])
        return (_all_classes(products[0]) + self.bias[split, :kept, :, None]).transpose(1, 2)

    @torch.no_grad()
    def on_features(self) -> HeadBatch:
        """The heads as they are now, to judge any image with; not to be trained further."""
        found = HeadBatch(self._heads, [0.0] * self.weight.shape[1], "sgd", 0.0)
        for split, (head, train) in enumerate(zip(self._heads, self._trains, strict=True)):
            mean = head.weight.mean(0)
            basis = torch.cat([(head.weight - mean)[:-1], self._features[train]])
            a = self.weight[split, ..., : len(basis)]
            # What classes share has shrunk as much as the rest of the first weights.
            found.weight[split] = _all_classes(a @ basis) + a[:, 0, 0, None, None] * mean
        found.bias, found.counts = self.bias, self.counts
        return found

    def _fill(self, into: Tensor, split: int, values: Tensor) -> None:
        # Earlier versions saved no columns that only fill up.
        super()._fill(into, split, pad(values, (0, into.shape[-1] - values.shape[-1])))

    def step(
        self, features: Tensor, labels: Tensor, rates: Tensor, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """As ``HeadBatch.step``; ``features`` are ``columns`` of the batches."""
        k, b = labels.shape
        counts = [b] * k if sizes is None else sizes
        losses = self.epoch(features, labels, rates, counts, b)
        return (losses / torch.tensor(counts)[:, None]).float()

    @torch.no_grad()
    def epoch(
        self, columns: Tensor, labels: Tensor, rates: Tensor, images: Sequence[int], batch: int
    ) -> Tensor:
        """Steps of the first k splits through their images, a batch after the other.

        Parameters
        ----------
        columns: (k, steps · batch) int64, as ``columns`` gives them. labels: (k, steps · batch) int64.
        rates: (k, g) learning rates.
        images: how many of them count, for each split; never more than for the one before.

        Returns the (k, g) float64 sums of cross-entropies, each image's before the step that it is part of.
        """
        k, counts = len(columns), np.array(images)
        losses = torch.zeros(k, rates.shape[1], dtype=torch.float64)
        first, first_bias = self._moments["first"]
        with compiled_threads(self._threads):
            train_epoch(
                self._table.numpy(),
                (self._starts[:k] - self.weight.shape[2]).numpy(),
                columns.numpy(),
                labels.numpy(),
                counts,
                batch,
                self.weight.numpy(),
                first.numpy(),
                self.bias.numpy(),
                first_bias.numpy(),
                rates.numpy(),
                self._decay.numpy(),
                np.float32(self._momentum),
                losses.numpy(),
            )
        self._steps[:k] += torch.from_numpy(-(-counts // batch))
        return losses

    def _products(self, rows: Tensor, weight: Tensor) -> Tensor:
        """(k, b) rows of the table, (k, g, classes - 1, m) → (k, g, classes - 1, b)."""
        found = torch.empty(*weight.shape[:3], rows.shape[1])
        table, out = self._table.numpy(), found.flatten(1, 2).numpy()
        with compiled_threads(self._threads):
            row_products(table, rows.numpy(), weight.flatten(1, 2).numpy(), out)
        return found


def _torch_threads() -> int:
    """As many as torch's; it keeps them: the compiled loops, when they first start, would set OpenMP's number for both."""
    threads = torch.get_num_threads()
    numba.get_num_threads()
    torch.set_num_threads(threads)
    return threads


def _all_classes(values: Tensor) -> Tensor:
    """(…, classes - 1, n) → (…, classes, n): over the classes they add up to nothing."""
    return torch.cat([values, -values.sum(-2, keepdim=True)], -2)


def _table(features: Tensor, splits: Sequence[Split], first: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The products of each split's train and val images with its basis, (images of all splits, m) float32.

    And (splits + 1,) int64, where each split's begin.
    """
    needed, free = _needed(splits), len(first[0])
    place, n = torch.zeros(len(features), dtype=torch.int64), len(needed)
    place[torch.from_numpy(needed)] = torch.arange(n)
    rows = features[torch.from_numpy(needed)]
    # Products with all that can be in a basis, and zeros for the columns that a split does not use.
    products = _memory(n, n + free * len(splits) + 1)
    _symmetric(rows, products[:, :n])
    torch.mm(rows, torch.cat(list(first)).T, out=products[:, n:-1])
    products[:, -1] = 0
    used = free + max(len(split.train) for split in splits)
    m = -(-used // ALIGNED) * ALIGNED
    sizes = [len(split.train) + len(split.val) for split in splits]
    starts = torch.tensor([0, *accumulate(sizes)])
    table, buffer = _memory(sum(sizes), m), _memory(max(sizes), products.shape[1])
    for number, split in enumerate(splits):
        train, val = place[torch.from_numpy(split.train)], place[torch.from_numpy(split.val)]
        columns = torch.full((m,), products.shape[1] - 1)
        columns[:free] = n + number * free + torch.arange(free)
        columns[free : free + len(train)] = train
        own = torch.index_select(products, 0, torch.cat([train, val]), out=buffer[: sizes[number]])
        torch.index_select(own, 1, columns, out=table[starts[number] : starts[number + 1]])
    return table, starts


def _needed(splits: Sequence[Split]) -> Indices:
    return np.unique(np.concatenate([part for split in splits for part in (split.train, split.val)]))


def _symmetric(rows: Tensor, products: Tensor) -> None:
    """``rows · rowsᵀ`` into ``products``."""
    for start in range(0, len(rows), SIDE):
        end = min(start + SIDE, len(rows))
        torch.mm(rows[start:], rows[start:end].T, out=products[start:, start:end])
        products[start:end, end:] = products[end:, start:end].T


def _memory(rows: int, columns: int) -> Tensor:
    """NumPy's large arrays lie in huge pages and torch's do not: rows at random take three quarters of the time."""
    return torch.from_numpy(np.empty((rows, columns), np.float32))
