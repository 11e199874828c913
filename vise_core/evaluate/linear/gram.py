"""Linear heads as combinations of the training features: SGD with fewer multiplications where images are few.

Under SGD a head's weights are always ``W = A · B``: B holds the initial weights and the features of all training
images, A their coefficients. With all ``B x`` computed once (a Gram matrix), a step needs one product
over the rows of B instead of two over the features. Nothing is approximated: the heads are the same, to rounding.
``docs/reference/numerics.md`` derives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numba
import numpy as np
import torch
from torch import Tensor, nn

from vise_core.evaluate.loading import Indices
from vise_core.tasks import Split
from vise_core.threads import compiled_threads

from .gram_kernels import ALIGNED, Batches, GramTable, Heads, row_products, train_epoch
from .heads import HeadBatch

GRAM_BYTES = 2**30
"""Largest size of all Gram matrices of an evaluation together."""
SIDE = 512
"""Rows of a Gram matrix that are computed at once; the part above the diagonal is copied."""


def gram_pays(splits: Sequence[Split], features: int, points: int, classes: int, epochs: int) -> bool:
    """Return whether training as combinations takes fewer multiplications, and its matrices fit into GRAM_BYTES.

    A step on the features takes an image's logits and its part of the gradient; a step on combinations takes its logits
    over all training images for one class less, and half of the Gram matrix is computed once.
    """
    trained, judged = (sum(len(split[part]) for split in splits) for part in (0, 1))
    products = sum(len(split.train) * (len(split.train) + len(split.val)) for split in splits)
    images = len(_needed(splits))
    direct = epochs * points * classes * features * (2 * trained + judged)
    gram = epochs * points * (classes - 1) * products + images**2 * features // 2
    return classes > 1 and gram < direct and 4 * (products + images**2) <= GRAM_BYTES


class GramBatch(HeadBatch):
    """The heads of a ``HeadBatch`` under SGD with momentum, as combinations of the training features; on the CPU.

    Attributes
    ----------
    weight: (s, g, classes - 1, m) float32, A without its last class: classes - 1 columns for the initial weights, then
        one for each training image. Columns beyond a split's images stay 0. Initial weights are taken
        without their mean over classes, which does not change a softmax.
    """

    def __init__(
        self,
        heads: Sequence[nn.Linear],
        weight_decays: Sequence[float],
        momentum: float,
        features: Tensor,
        splits: Sequence[Split],
    ) -> None:
        """``features``: (n, dim) float32 of all images. ``splits``: one for each of ``heads``."""
        super().__init__(heads, weight_decays, "sgd", momentum)
        self._heads, self._features = heads, features
        # Sorted, so that the columns of a Gram matrix are read in order.
        splits = [split._replace(train=np.sort(split.train)) for split in splits]
        self._trains = [torch.from_numpy(split.train) for split in splits]
        free = heads[0].out_features - 1
        first = [(head.weight - head.weight.mean(0))[:-1].detach() for head in heads]
        self._products, self._starts = _basis_products(features, splits, first)
        self._offsets = (self._starts[:-1] - free).numpy()
        self._columns = torch.zeros(len(splits), len(features), dtype=torch.int64)
        for columns, train in zip(self._columns, self._trains, strict=True):
            columns[train] = torch.arange(free, free + len(train))
        m = self._products.shape[1]
        self.weight = torch.eye(free, m).repeat(len(heads), len(weight_decays), 1, 1)
        self._moments["first"][0] = torch.zeros_like(self.weight)
        self._threads = _torch_threads()

    def columns(self, indices: Indices) -> Tensor:
        """Return the columns of A of (k, b) training images of the first k splits, (k, b) int64, for ``step``."""
        return self._columns[: len(indices)].gather(1, torch.from_numpy(indices))

    def val_logits(self, split: int) -> Tensor:
        """Return the logits of the split's val images, in their order, (counts[split], n, classes) float32."""
        kept, start = self.counts[split], int(self._starts[split]) + len(self._trains[split])
        rows = np.arange(start, int(self._starts[split + 1]))[None]
        weight = self.weight[split : split + 1, :kept]
        logits = torch.empty(*weight.shape[:3], rows.shape[1])
        with compiled_threads(self._threads):
            row_products(
                self._products.numpy(), rows, weight.flatten(1, 2).numpy(), logits.flatten(1, 2).numpy()
            )
        return (_all_classes(logits[0]) + self.bias[split, :kept, :, None]).transpose(1, 2)

    @torch.no_grad()
    def on_features(self) -> HeadBatch:
        """Return the current heads as weights on the features, to classify any image. Do not train them further."""
        heads = HeadBatch(self._heads, [0.0] * self.weight.shape[1], "sgd", 0.0)
        for split, (head, train) in enumerate(zip(self._heads, self._trains, strict=True)):
            mean = head.weight.mean(0)
            basis = torch.cat([(head.weight - mean)[:-1], self._features[train]])
            a = self.weight[split, ..., : len(basis)]
            # Weight decay has shrunk the mean over classes as much as the rest of the initial weights.
            heads.weight[split] = _all_classes(a @ basis) + a[:, 0, 0, None, None] * mean
        heads.bias, heads.counts = self.bias, self.counts
        return heads

    def step(
        self, features: Tensor, labels: Tensor, rates: Tensor, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """Take one step as ``HeadBatch.step`` does; here ``features`` are the ``columns`` of the batches, (k, b) int64."""
        k, b = labels.shape
        counts = [b] * k if sizes is None else sizes
        losses = self.epoch(features, labels, rates, counts, b)
        return (losses / torch.tensor(counts)[:, None]).float()

    @torch.no_grad()
    def epoch(
        self, columns: Tensor, labels: Tensor, rates: Tensor, images: Sequence[int], batch: int
    ) -> Tensor:
        """Train the first k splits for one epoch, batch after batch.

        Parameters
        ----------
        columns: (k, steps · batch) int64, as ``columns`` returns them. labels: (k, steps · batch) int64.
        rates: (k, g) learning rates.
        images: number of columns of each split that count, descending.

        Returns the (k, g) float64 sums of cross-entropies, each image's before the step that it is part of.
        """
        k, counts = len(columns), np.array(images)
        momentum, bias_momentum = self._moments["first"]
        table = GramTable(self._products.numpy(), self._offsets[:k])
        heads = Heads(
            coefficients=self.weight.numpy(),
            coefficient_momentum=momentum.numpy(),
            bias=self.bias.numpy(),
            bias_momentum=bias_momentum.numpy(),
            rates=rates.numpy(),
            decays=self._decay.numpy(),
            momentum=np.float32(self._momentum),
        )
        losses = np.zeros((k, rates.shape[1]))
        with compiled_threads(self._threads):
            train_epoch(table, heads, Batches(columns.numpy(), labels.numpy(), counts, batch), losses)
        self._steps[:k] += torch.from_numpy(-(-counts // batch))
        return torch.from_numpy(losses)


def _torch_threads() -> int:
    """Return torch's number of threads, and set it again after Numba, whose start resets OpenMP's, has started."""
    threads = torch.get_num_threads()
    numba.get_num_threads()
    torch.set_num_threads(threads)
    return threads


def _all_classes(values: Tensor) -> Tensor:
    """Append the last class, so that values add up to 0 over classes: (…, classes - 1, n) → (…, classes, n)."""
    return torch.cat([values, -values.sum(-2, keepdim=True)], -2)


def _basis_products(
    features: Tensor, splits: Sequence[Split], first: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return B x of each split's train and val images, (images of all splits, m) float32, and each split's first row.

    ``first``: the initial weights of each split, (classes - 1, dim). The starts are (splits + 1,) int64.
    """
    needed, free = _needed(splits), len(first[0])
    place, n = torch.zeros(len(features), dtype=torch.int64), len(needed)
    place[torch.from_numpy(needed)] = torch.arange(n)
    rows = features[torch.from_numpy(needed)]
    # Products with the vectors of all bases, and a column of zeros for columns that a split does not use.
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
    """Return the sorted indices of all train and val images."""
    return np.unique(np.concatenate([part for split in splits for part in (split.train, split.val)]))


def _symmetric(rows: Tensor, products: Tensor) -> None:
    """Set ``products`` (n, n) to ``rows · rowsᵀ``, computing half of it."""
    for start in range(0, len(rows), SIDE):
        end = min(start + SIDE, len(rows))
        torch.mm(rows[start:], rows[start:end].T, out=products[start:, start:end])
        products[start:end, end:] = products[end:, start:end].T


def _memory(rows: int, columns: int) -> Tensor:
    """Return an uninitialised float32 tensor in NumPy's memory: reading random rows of huge pages takes 3/4 of the time."""
    return torch.from_numpy(np.empty((rows, columns), np.float32))
