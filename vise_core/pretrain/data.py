"""Batches of post images, in an order that depends on the seed and the epoch only (method 7, traps 2 and 9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vise_core.errors import BadImage, BadInput
from vise_core.formats.posts import ShardIndex, StoredMember
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
class PostImages:
    """Images of posts to train on, by row. Stays in the process that plans the batches.

    Attributes
    ----------
    posts: the shards. images: (n,) int64, the place of each row's post in ``posts``.
    transform: from an image and a generator to its view or views. seed: of the augmentation.
    """

    posts: ShardIndex
    images: Ints
    transform: TrainTransform | Any
    seed: int

    def locate(self, sample: Sample) -> LocatedSample:
        """Return the sample with where its image lies."""
        epoch, row = sample
        place = int(self.images[row])
        return LocatedSample(epoch, row, place, self.posts.stored_image(place))

    def reader(self) -> ImageReader:
        """Return what decodes located samples, in this process or another one."""
        return ImageReader(self.posts.folder, self.transform, self.seed)


class LocatedSample(NamedTuple):
    """A row of the label table in an epoch, the place of its post in the index, and where its image lies."""

    epoch: int
    row: int
    place: int
    image: StoredMember


@dataclass
class ImageReader(Dataset[tuple[Tensor, Ints]]):
    """Decoded, augmented images of located samples. Holds nothing for each post: loader processes have one each.

    The crop of a sample depends on (seed, epoch, place of the post in the index) alone, so it is the same in every
    process.
    """

    folder: Path
    transform: TrainTransform | Any
    seed: int

    def __getitems__(self, samples: list[LocatedSample]) -> tuple[Tensor, Ints]:
        """Return (n, 3, size, size) float32 and the (n,) rows. Raises BadInput, naming the post.

        Where the transform makes v views of an image, (v * n, 3, size, size): all first views, then all second.
        """
        views = torch.stack([self.view(sample) for sample in samples])
        if views.dim() == 5:
            views = views.transpose(0, 1).flatten(0, 1)
        return views, np.array([sample.row for sample in samples], dtype=np.int64)

    def view(self, sample: LocatedSample) -> Tensor:
        """Return the augmented image of a sample, (3, size, size) float32, or its views, (v, 3, size, size).

        Raises BadInput, naming the post, if its image does not decode.
        """
        try:
            image = open_image(sample.image.read(self.folder))
        except BadImage as error:
            # Ingest rejects images that cannot be decoded, so these shards were damaged later.
            post = ShardIndex.open(self.folder).read_post(sample.place).id
            raise BadInput(
                f"post {post!r}: its image no longer decodes ({error}); copy the shards again, or ingest again"
            ) from error
        return self.transform(image, sample_generator(self.seed, sample.epoch, sample.place))


@dataclass(frozen=True)
class Samples:
    """Samples of the batches of one process: its part of each iteration and accumulation step, across epochs."""

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


@dataclass(frozen=True)
class _LocatedBatches:
    """Batch sampler that looks up where images lie, so that loader processes need no index."""

    dataset: PostImages
    samples: Samples

    def __iter__(self) -> Iterator[list[LocatedSample]]:
        for batch in self.samples:
            yield [self.dataset.locate(sample) for sample in batch]

    def __len__(self) -> int:
        return len(self.samples)


def image_loader(
    dataset: PostImages, samples: Samples, *, workers: int, pin: bool
) -> DataLoader[tuple[Tensor, Ints]]:
    """Return a loader of batches in the order of ``samples``: images (b, 3, size, size) float32 and rows (b,) int64.

    If ``dataset`` makes v views, the images are (v·b, 3, size, size), all first views first. They are decoded in
    ``workers`` processes, whose memory does not grow with the posts; 0: in this process.
    """
    return DataLoader(
        dataset.reader(),
        batch_sampler=_LocatedBatches(dataset, samples),  # type: ignore[arg-type]
        collate_fn=_unchanged,
        num_workers=workers,
        pin_memory=pin,
        # Not fork: this process has threads (torch, a reporter), whose locks a fork would copy while they are held.
        multiprocessing_context="forkserver" if workers else None,
        prefetch_factor=4 if workers else None,
    )


def _unchanged(batch: Any) -> Any:
    return batch
