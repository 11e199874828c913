"""Order and crops depend on seed and epoch alone; a batch is exact, however it is shared out."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vise_core.errors import BadInput
from vise_core.formats.posts import ShardIndex
from vise_core.models.transforms import train_transform
from vise_core.pretrain.data import BatchPlan, PostImages, Sample, Samples, image_loader


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))
def test_processes_and_steps_share_each_batch_out_exactly(
    posts: int, batch: int, accumulate: int, world: int, seed: int
) -> None:
    if posts < batch or batch < accumulate * world:
        with pytest.raises(BadInput, match="batch"):
            BatchPlan(posts, batch, seed, accumulate, world)
        return
    plan = BatchPlan(posts, batch, seed, accumulate, world)
    seen: dict[int, list[int]] = {}
    for epoch, rows in plan.batches(0, 2 * plan.per_epoch):
        assert len(rows) == batch
        shares = [plan.parts(rows, rank) for rank in range(world)]
        assert all(len(share) == accumulate and all(len(part) for part in share) for share in shares)
        assert sorted(np.concatenate([part for share in shares for part in share])) == sorted(rows)
        seen.setdefault(epoch, []).extend(rows.tolist())
    for rows_of_epoch in seen.values():
        # No post twice; what is missing is less than a batch.
        assert len(set(rows_of_epoch)) == len(rows_of_epoch) == posts - posts % batch


def test_the_order_depends_on_seed_and_epoch_and_starts_anywhere() -> None:
    plan = BatchPlan(50, 8, seed=1)
    whole = [rows.tolist() for _, rows in plan.batches(0, 12)]
    assert [rows.tolist() for _, rows in plan.batches(5, 12)] == whole[5:]
    assert whole[:6] != whole[6:]
    assert [rows.tolist() for _, rows in BatchPlan(50, 8, seed=2).batches(0, 6)] != whole[:6]


def decode(dataset: PostImages, samples: list[Sample]) -> tuple[torch.Tensor, np.ndarray]:
    return dataset.reader().__getitems__([dataset.locate(sample) for sample in samples])


def images_of(material, workers: int) -> tuple[list[int], torch.Tensor]:
    posts = ShardIndex.open(material.posts)
    transform = train_transform(32, mean=(0.5,) * 3, std=(0.5,) * 3)
    dataset = PostImages(posts, np.arange(len(posts)), transform, seed=7)
    plan = BatchPlan(len(posts), 8, seed=7)
    loader = image_loader(dataset, Samples(plan, 2, 7, 0), workers=workers, pin=False)
    batches = list(loader)
    return [row for _, rows in batches for row in rows.tolist()], torch.cat([images for images, _ in batches])


def test_images_are_the_same_whoever_decodes_them(material) -> None:
    rows, images = images_of(material, workers=0)
    worker_rows, worker_images = images_of(material, workers=2)
    assert rows == worker_rows
    assert images.shape == (40, 3, 32, 32)
    assert torch.equal(images, worker_images)


def test_an_image_that_no_longer_decodes_names_its_post(material) -> None:
    posts = ShardIndex.open(material.posts)
    at = (material.posts / "shard-000000.tar").read_bytes()
    broken = posts.read_image(4)
    (material.posts / "shard-000000.tar").write_bytes(at.replace(broken, b"\0" * len(broken)))
    dataset = PostImages(posts, np.arange(44), train_transform(32, mean=(0,) * 3, std=(1,) * 3), seed=0)
    with pytest.raises(BadInput, match="post 'post-4': its image no longer decodes"):
        decode(dataset, [(0, 4)])


def test_what_a_loader_process_is_given_does_not_grow_with_the_posts(material) -> None:
    transform = train_transform(32, mean=(0,) * 3, std=(1,) * 3)
    posts = ShardIndex.open(material.posts)
    few, many = (PostImages(posts, np.arange(n) % 44, transform, seed=0) for n in (44, 10_000))
    posts.keys()  # reads every shard's headers
    loader = image_loader(many, Samples(BatchPlan(10_000, 8, seed=0), 0, 1, 0), workers=2, pin=False)
    assert len(pickle.dumps(loader.dataset)) == len(pickle.dumps(few.reader())) < 1000
