"""Labels are matched to posts by key, checked, and cut down to nested random subsets."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from vise_core.errors import BadInput
from vise_core.formats.post import post_key
from vise_core.formats.posts import ShardIndex
from vise_core.posts.subsets import pretrain_rank
from vise_core.pretrain.labels import read_labels, unlabelled

BOTH = ("comments", "reactions")


def test_every_post_gets_its_own_labels(make_material) -> None:
    table_of = {0: ([1, 1, 3], 4), 1: ([], 2), 2: ([0], None), 3: ([], None)}
    material = make_material(4, lambda i: table_of[i])
    posts = ShardIndex.open(material.posts)
    table = read_labels(material.labels, posts, BOTH)
    assert [posts.read_post(i).id for i in table.images.tolist()] == ["post-0", "post-1", "post-2"]
    rows = np.array([2, 0, 1])
    assert table.labelled(rows) == {"comments": 2, "reactions": 2}
    targets = table.targets(rows, BOTH, "frequency")
    assert targets["reactions"].tolist() == [-1, 4, 2]
    comments = torch.zeros(3, 7)
    comments[0, 0], comments[1, 1], comments[1, 3] = 1, 2 / 3, 1 / 3
    torch.testing.assert_close(targets["comments"], comments)
    assert table.synthetic


def test_posts_without_a_label_of_the_chosen_signals_are_left_out(material) -> None:
    posts = ShardIndex.open(material.posts)
    comments, reactions = (read_labels(material.labels, posts, (s,)) for s in BOTH)
    assert len(comments) == 33  # every fourth of 44 has no comment label
    assert bool((np.diff(comments.comment_starts) > 0).all())
    assert bool((reactions.reactions >= 0).all())
    assert comments.targets(np.arange(2), ("comments",), "unique").keys() == {"comments"}


def test_subsets_are_nested_and_follow_the_rank(material) -> None:
    posts = ShardIndex.open(material.posts)
    ids = {
        n: {
            posts.read_post(i).id
            for i in read_labels(material.labels, posts, BOTH, limit=n, seed=3).images.tolist()
        }
        for n in (5, 12, 44, 1000)
    }
    assert ids[5] < ids[12] < ids[44] == ids[1000]
    lowest = sorted(ids[44], key=lambda post_id: pretrain_rank(post_id, 3))
    assert ids[12] == set(lowest[:12])
    other = read_labels(material.labels, posts, BOTH, limit=12, seed=4)
    assert {posts.read_post(i).id for i in other.images.tolist()} != ids[12]


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def fact(folder: Path, **values: object) -> None:
    path = folder / "labels.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "labels.json").unlink(), "no labels.json"),
        (lambda f: (f / "labels.json").write_text("{"), "label again"),
        (lambda f: fact(f, format="other"), "format is 'other'"),
        (lambda f: fact(f, comment_clusters=0), "signals: comments were not clustered"),
        (lambda f: fact(f, comment_clusters=3), "a comment label is not below 3"),
        (lambda f: fact(f, reaction_clusters=2), "a reaction label is not below 2"),
        (lambda f: (f / "shard-000002.parquet").unlink(), r"shard-000002\.parquet: missing"),
        (lambda f: (f / "shard-000002.parquet").write_bytes(b"no"), "not a Parquet file"),
        (
            lambda f: rewrite(f / "shard-000001.parquet", lambda t: t.drop_columns(["key"])),
            r"shard-000001\.parquet",
        ),
        (
            lambda f: rewrite(
                f / "shard-000001.parquet",
                lambda t: t.set_column(1, "key", pa.array(["0" * 32] * len(t))),
            ),
            r"post 'post-10' is not in shard-000001\.tar",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(material, damage, message: str) -> None:
    damage(material.labels)
    with pytest.raises(BadInput, match=message):
        read_labels(material.labels, ShardIndex.open(material.posts), BOTH)


def test_subsets_stay_nested_where_posts_are_excluded(material) -> None:
    posts = ShardIndex.open(material.posts)
    whole = read_labels(material.labels, posts, BOTH, limit=12, seed=3)
    some = [posts.read_post(i).id for i in whole.images[:4].tolist()]
    exclude = frozenset(map(post_key, some))
    ids = {}
    for n in (5, 12, 1000):
        table = read_labels(material.labels, posts, BOTH, limit=n, seed=3, exclude=exclude)
        ids[n] = {posts.read_post(i).id for i in table.images.tolist()}
        assert table.excluded == 4
        without = unlabelled(posts, limit=n, seed=3, exclude=exclude)
        # All 44 posts have a label, so that both take the same.
        assert without.images.tolist() == table.images.tolist()
        assert without.excluded == 4
        # The labels are those of the posts, not of the places in the whole table.
        full = read_labels(material.labels, posts, BOTH)
        rows = np.searchsorted(full.images, table.images)
        assert table.reactions.tolist() == full.reactions[rows].tolist()
    assert ids[5] < ids[12] < ids[1000]
    assert (len(ids[5]), len(ids[12]), len(ids[1000])) == (5, 12, 40)
    assert not ids[1000] & set(some)
    lowest = sorted(ids[1000], key=lambda post_id: pretrain_rank(post_id, 3))
    assert ids[12] == set(lowest[:12])
