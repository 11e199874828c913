"""Reading a ``labels`` artifact: its facts, and its rows a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vise_core.errors import BadInput

from .label import FORMAT, SCHEMA

_BATCH = 20_000


@dataclass(frozen=True)
class LabelFacts:
    """What ``labels.json`` says."""

    comment_clusters: int
    reaction_clusters: int
    posts: int
    synthetic: bool
    shuffled: bool


def read_label_facts(folder: Path) -> LabelFacts:
    """Raises BadInput where the folder is not one that label made."""
    path = folder / "labels.json"
    try:
        facts = json.loads(path.read_bytes())
        if facts["format"] != FORMAT:
            raise BadInput(f"{path}: format is {facts['format']!r}, expected {FORMAT!r}: label again")
        return LabelFacts(
            comment_clusters=int(facts["comment_clusters"]),
            reaction_clusters=int(facts["reaction_clusters"]),
            posts=int(facts["posts"]),
            synthetic=bool(facts["synthetic"]),
            shuffled=bool(facts["shuffled"]),
        )
    except FileNotFoundError as error:
        raise BadInput(f"{folder}: no labels.json; give a folder made by label") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not as label writes it ({error!r}): label again") from error


def label_batches(folder: Path) -> Iterator[pa.RecordBatch]:
    """The rows of all shards, in order of their names, a bounded number at a time; columns as ``label.SCHEMA``."""
    for path in sorted(folder.glob("shard-*.parquet")):
        try:
            for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=SCHEMA.names):
                yield batch.cast(SCHEMA)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise BadInput(f"{path}: not a Parquet file of labels ({error}): label again") from error


def shard_labels(folder: Path, shard: str) -> dict[str, tuple[list[int], int | None]]:
    """key → (comment labels, reaction label) of the labelled posts of one shard, named as in the posts' index."""
    path = folder / Path(shard).with_suffix(".parquet").name
    if not path.is_file():
        raise BadInput(f"{path}: missing; these labels are of other posts, or not whole")
    columns = read_shard(path)
    return dict(
        zip(
            columns["key"].to_pylist(),
            zip(columns["comment_labels"].to_pylist(), columns["reaction_label"].to_pylist(), strict=True),
            strict=True,
        )
    )


def read_shard(path: Path) -> pa.Table:
    """One file of labels, whole; columns as ``label.SCHEMA``."""
    try:
        return pq.ParquetFile(path).read(SCHEMA.names).select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise BadInput(f"{path}: not a Parquet file of labels ({error}): label again") from error
