"""Remove posts from the artifacts ``posts`` and ``labels``, whose other rows and bytes stay as they are."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from vise_core.errors import BadInput

from .labels import label_file, read_label_facts, read_label_table, write_label_facts, write_label_table
from .post import post_key
from .posts import ShardIndex, ShardWriter, read_posts_index, write_index

REWRITTEN = ("posts", "labels")
"""Names of the artifacts that can be rewritten; others that hold a post are removed whole."""


def remove_posts(artifact: str, folder: Path, ids: Collection[str]) -> list[str]:
    """Remove posts from a folder of shards or of labels; return the paths of the files that changed.

    A changed file is written as a new one, never in place: it may be a link to what others read. Raises BadInput if the folder
    is not such an artifact.
    """
    keys = {post_key(post_id) for post_id in ids}
    return _from_posts(folder, keys) if artifact == "posts" else _from_labels(folder, keys)


def _from_posts(folder: Path, keys: set[str]) -> list[str]:
    index = ShardIndex.open(folder)
    changed, shards = [], list(index.shards)
    for number, shard in enumerate(index.shards):
        if not keys & set(index.keys(number)):
            continue
        writer = ShardWriter(folder / shard.name)
        try:
            for record in index.iterate(number):
                if record.post.key not in keys:
                    writer.write(record)
            shards[number] = writer.close()
        except BaseException:
            writer.abandon()
            raise
        changed.append(shard.name)
    if changed:
        synthetic = read_posts_index(folder).synthetic
        (folder / "index.json").unlink()
        write_index(folder, shards, synthetic=synthetic)
        changed.append("index.json")
    return changed


def _from_labels(folder: Path, keys: set[str]) -> list[str]:
    facts, changed, removed = read_label_facts(folder), [], 0
    for path in sorted(folder.glob("shard-*.parquet")):
        table = read_label_table(label_file(folder, path.name))
        kept = table.filter(pc.invert(pc.is_in(table["key"], pa.array(sorted(keys)))))
        if kept.num_rows == table.num_rows:
            continue
        removed += table.num_rows - kept.num_rows
        path.unlink()
        write_label_table(path, kept)
        changed.append(path.name)
    if changed:
        if removed > facts.posts:
            raise BadInput(f"{folder}: more rows than labels.json says: label again")
        (folder / "labels.json").unlink()
        write_label_facts(folder, facts.model_copy(update={"posts": facts.posts - removed}))
        changed.append("labels.json")
    return changed
