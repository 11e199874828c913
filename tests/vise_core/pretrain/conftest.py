"""A few dozen real posts in real shards, with labels in the format of the stage ``label``."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.pictures import encoded
from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardWriter, shard_name, write_index

COMMENT_CLUSTERS, REACTION_CLUSTERS = 7, 5

Labels = tuple[Sequence[int], int | None]


@dataclass(frozen=True)
class Material:
    """Inputs of the stage ``pretrain``."""

    posts: Path
    labels: Path

    @property
    def inputs(self) -> dict[str, Path]:
        return {"posts": self.posts, "labels": self.labels}


def picture(number: int, side: int = 40) -> bytes:
    """Noise in which the channel ``number % 3`` is the brightest."""
    pixels = np.random.default_rng(number).integers(0, 128, (side, side + number % 5, 3), dtype=np.uint8)
    pixels[..., number % 3] += 127
    return encoded(Image.fromarray(pixels), "JPEG", quality=90)


def random_labels(number: int) -> Labels:
    """Some posts have no comment label, some no reaction label, none lacks both."""
    rng = np.random.default_rng(1000 + number)
    comments = sorted(rng.integers(0, COMMENT_CLUSTERS, number % 4).tolist())
    return comments, (None if comments and number % 5 == 0 else int(rng.integers(0, REACTION_CLUSTERS)))


@pytest.fixture
def make_material(tmp_path: Path) -> Callable[..., Material]:
    """Writes ``count`` posts in shards of 10, and labels from a function of the post's number."""

    def make(count: int = 44, label: Callable[[int], Labels] = random_labels) -> Material:
        material = Material(tmp_path / "posts", tmp_path / "labels")
        material.posts.mkdir()
        material.labels.mkdir()
        shards = []
        for number, first in enumerate(range(0, count, 10)):
            name = shard_name(number)
            writer, rows = ShardWriter(material.posts / name), []
            for i in range(first, min(first + 10, count)):
                post = Post(id=f"post-{i}", comments=("wow",), reactions=(1, 0, 0, 0, 0))
                writer.write(PostRecord(post, picture(i)))
                comments, reaction = label(i)
                if comments or reaction is not None:
                    rows.append(
                        {
                            "post_id": post.id,
                            "key": post.key,
                            "comment_labels": list(comments),
                            "reaction_label": reaction,
                        }
                    )
            shards.append(writer.close())
            schema = pa.schema(
                [
                    ("post_id", pa.string()),
                    ("key", pa.string()),
                    ("comment_labels", pa.list_(pa.int32())),
                    ("reaction_label", pa.int32()),
                ]
            )
            pq.write_table(
                pa.Table.from_pylist(rows, schema=schema),
                material.labels / name.replace(".tar", ".parquet"),
            )
        write_index(material.posts, shards, synthetic=True)
        facts = {
            "format": "vise-labels-1",
            "comment_clusters": COMMENT_CLUSTERS,
            "reaction_clusters": REACTION_CLUSTERS,
            "posts": count,
            "synthetic": True,
            "shuffled": False,
        }
        (material.labels / "labels.json").write_text(json.dumps(facts))
        return material

    return make


@pytest.fixture
def material(make_material: Callable[..., Material]) -> Material:
    return make_material()
