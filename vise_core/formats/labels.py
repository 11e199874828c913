"""The artifact ``labels`` of the stage label: pseudo-labels of posts (Sec. 3.1, step 2).

A folder with ``labels.json`` and, for each shard of the posts, ``shard-NNNNNN.parquet`` with a row for each labelled
post.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from vise_core.errors import BadInput
from vise_core.specs.base import Record

from .json_file import read_json, write_json
from .parquet_file import read_batches, read_table

SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("key", pa.string()),
        ("comment_labels", pa.list_(pa.int32())),
        ("reaction_label", pa.int32()),
    ]
)
"""``key``: ``formats.post.post_key`` of the id; ``comment_labels``: a cluster for each comment, ascending;
``reaction_label``: null where nobody reacted."""
BATCH_ROWS = 20_000

_FACTS_FILE = "labels.json"
_REMEDY = "label again"


class LabelFacts(Record):
    """The content of ``labels.json``."""

    format: Literal["vise-labels-1"] = "vise-labels-1"
    comment_clusters: int = Field(ge=0, description="Comment labels lie below this number.")
    reaction_clusters: int = Field(ge=0, description="Reaction labels lie below this number.")
    posts: int = Field(ge=0, description="Posts with a label.")
    synthetic: bool = Field(description="Whether posts or clusters come from sample data.")
    shuffled: bool = Field(description="Whether labels were permuted over posts, as a control.")


def write_label_facts(folder: Path, facts: LabelFacts) -> None:
    """Write ``labels.json``."""
    write_json(folder / _FACTS_FILE, facts)


def read_label_facts(folder: Path) -> LabelFacts:
    """Read ``labels.json``. Raises BadInput if the folder is not a ``labels`` artifact."""
    return read_json(folder / _FACTS_FILE, LabelFacts, remedy=_REMEDY)


def label_file(folder: Path, shard: int | str) -> Path:
    """Return the path of a shard's labels; ``shard`` is its number, or its name in the index of the posts."""
    name = f"shard-{shard:06d}" if isinstance(shard, int) else Path(shard).stem
    return folder / f"{name}.parquet"


def write_label_table(path: Path, table: pa.Table) -> None:
    """Write the labels of one shard; columns as in ``SCHEMA``."""
    pq.write_table(table.cast(SCHEMA), path)


def read_label_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the labels of a shard: all columns of ``SCHEMA``, or those named.

    Raises BadInput if the file is missing, damaged or of another schema.
    """
    if not path.is_file():
        raise BadInput(f"{path}: missing; these labels are of other posts, or not whole: {_REMEDY}")
    return read_table(path, SCHEMA, remedy=_REMEDY, columns=columns)


def label_batches(folder: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all shards, sorted by shard name, at most ``BATCH_ROWS`` at a time.

    Raises BadInput if a file is damaged or of another schema.
    """
    for path in sorted(folder.glob("shard-*.parquet")):
        yield from read_batches(path, SCHEMA, remedy=_REMEDY, rows=BATCH_ROWS)


def labels_by_key(folder: Path, shard: str) -> dict[str, tuple[list[int], int | None]]:
    """Return key → (comment labels, reaction label) of the labelled posts of a shard.

    Raises BadInput if its file is missing, damaged or of another schema.
    """
    columns = read_label_table(label_file(folder, shard))
    return dict(
        zip(
            columns["key"].to_pylist(),
            zip(columns["comment_labels"].to_pylist(), columns["reaction_label"].to_pylist(), strict=True),
            strict=True,
        )
    )
