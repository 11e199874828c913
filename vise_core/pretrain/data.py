"""Batches of post images, in an order that depends on the seed and the epoch only (method 7, traps 2 and 9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vise_core.errors import BadImage, BadInput
from vise_core.formats.posts import ShardIndex
from vise_core.models.transforms import TrainTransform, sample_generator
from vise_core.posts.images.decode import open_image

from .labels import Ints

Sample = tuple[int, int]
"""(epoch, row of the label table)."""


@dataclass(frozen=True)
class BatchPlan:
    """The posts of each iteration, and of each process and accumulation step in it.

    An epoch is a permutation of all posts, cut into batches of exactly ``batch``; the remainder at its end
    is dropped (other posts each epoch, since the permutation changes), so that the learning-rate rule
    holds. A batch is cut into ``accumulate`` parts and each part over ``world`` processes: every process
    does ``accumulate`` backward passes an iteration, and the union is the batch, whatever the cut.
    """

    posts: int
    batch: int
    seed: int
    accumulate: int = 1
    world: int = 1

    def __post_init__(self) -> None:
        if self.posts < self.batch:
            raise BadInput(
                f"batch: {self.batch} is more than the {self.posts} posts to train on; take a smaller batch"
            )
        if self.batch < self.accumulate * self.world:
            raise BadInput(
                f"batch: {self.batch} cannot be cut into {self.accumulate} accumulation steps "
                f"on {self.world} processes"
            )

    @property
    def per_epoch(self) -> int:
        """Iterations of one epoch."""
        return self.posts // self.batch

    def order(self, epoch: int) -> Ints:
        """Return the permutation of all rows in an epoch, (posts,) int64."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.posts)

    def batches(self, start: int, stop: int) -> Iterator[tuple[int, Ints]]:
        """Yield (epoch, (batch,) int64 rows) of iterations start to stop - 1."""
        order, order_epoch = np.empty(0, dtype=np.int64), -1
        for iteration in range(start, stop):
            epoch, step = divmod(iteration, self.per_epoch)
            if epoch != order_epoch:
                order, order_epoch = self.order(epoch), epoch
            yield epoch, order[step * self.batch : (step + 1) * self.batch]

    def parts(self, rows: Ints, rank: int = 0) -> list[Ints]:
        """Return the rows of a batch for ``rank``: one array for each accumulation step, none of them empty.

        ``rows``: (batch,) int64.
        """
        return [np.array_split(part, self.world)[rank] for part in np.array_split(rows, self.accumulate)]


@dataclass
class PostImages(Dataset[tuple[Tensor, Ints]]):
    """Decoded, augmented images of posts by (epoch, row).

    ``images[row]`` is the post's index in ``posts``. The crop of a sample depends on (seed, epoch, that
    index) alone, so it is the same in every process.
    """

    posts: ShardIndex
    images: Ints
    transform: TrainTransform | Any
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, sample: Sample) -> tuple[Tensor, Ints]:
        """Return one image, (3, size, size) float32, and its row. Raises BadInput, naming the post."""
        return self.__getitems__([sample])

    def __getitems__(self, samples: list[Sample]) -> tuple[Tensor, Ints]:
        """Return (n, 3, size, size) float32 and the (n,) rows.

        Where the transform makes v views of an image, (v * n, 3, size, size): all first views, then all second.
        """
        views = torch.stack([self.view(epoch, row) for epoch, row in samples])
        if views.dim() == 5:
            views = views.transpose(0, 1).flatten(0, 1)
        return views, np.array([row for _, row in samples], dtype=np.int64)

    def view(self, epoch: int, row: int) -> Tensor:
        """Return the augmented image of a post in an epoch, (3, size, size) float32, or its views, (v, 3, size, size).

        Raises BadInput, naming the post, if its image does not decode.
        """
        index = int(self.images[row])
        try:
            image = open_image(self.posts.read_image(index))
        except BadImage as error:
            # Ingest rejects images that cannot be decoded, so these shards were damaged later.
            post = self.posts.read_post(index).id
            raise BadInput(
                f"post {post!r}: its image no longer decodes ({error}); copy the shards again, or ingest again"
            ) from error
        return self.transform(image, sample_generator(self.seed, epoch, index))


@dataclass(frozen=True)
class Samples:
    """Batch sampler of one process: its part of each iteration and accumulation step, across epochs."""

    plan: BatchPlan
    start: int
    stop: int
    rank: int

    def __iter__(self) -> Iterator[list[Sample]]:
        for epoch, rows in self.plan.batches(self.start, self.stop):
            for part in self.plan.parts(rows, self.rank):
                yield [(epoch, int(row)) for row in part]

    def __len__(self) -> int:
        return (self.stop - self.start) * self.plan.accumulate


def image_loader(
    dataset: PostImages, samples: Samples, *, workers: int, pin: bool
) -> DataLoader[tuple[Tensor, Ints]]:
    """Return a loader of batches in the order of ``samples``: images (b, 3, size, size) float32 and rows (b,) int64.

    If ``dataset`` makes v views, the images are (v·b, 3, size, size), all first views first. They are decoded in
    ``workers`` processes; 0: in this process.
    """
    return DataLoader(
        dataset,
        batch_sampler=samples,  # type: ignore[arg-type]
        collate_fn=_unchanged,
        num_workers=workers,
        pin_memory=pin,
        # Not fork: this process has threads (torch, a reporter), whose locks a fork would copy while they are held.
        multiprocessing_context="forkserver" if workers else None,
        prefetch_factor=4 if workers else None,
    )


def _unchanged(batch: Any) -> Any:
    return batch
