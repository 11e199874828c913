"""The artifact ``explorer`` of the stage explore: words, reactions and sample images of each cluster.

A folder with ``explorer.json``, ``comments.parquet`` and ``reactions.parquet`` (row i is cluster i; a file only for a
kind that was clustered) and ``thumbnails/`` with a strip of sample images for each cluster.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from vise_core.errors import BadInput
from vise_core.specs.base import Record
from vise_core.specs.explore import LabelAgreement, LabelSpread

from .json_file import parse_json, write_json

Kind = Literal["comments", "reactions"]

_SHARED = [
    ("x", pa.float64()),
    ("y", pa.float64()),
    ("sample_posts", pa.list_(pa.string())),
    ("thumbnails", pa.string()),
]
COMMENTS = pa.schema(
    [
        ("cluster", pa.int32()),
        ("size", pa.int64()),
        ("posts", pa.int64()),
        ("terms", pa.list_(pa.string())),
        ("weights", pa.list_(pa.float64())),
        ("comments", pa.list_(pa.string())),
        ("reactions", pa.list_(pa.float64())),
        *_SHARED,
    ]
)
"""``size``: comment labels; ``posts``: posts that have the label; ``reactions``: mean share of each among those posts;
``x``, ``y``: place on the map; ``thumbnails``: path of a strip of the sample posts' images, square, in their order."""
REACTIONS = pa.schema(
    [
        ("cluster", pa.int32()),
        ("size", pa.int64()),
        ("reactions", pa.list_(pa.float64())),
        ("centroid", pa.list_(pa.float32())),
        *_SHARED,
    ]
)
"""``size``: posts; ``reactions``: mean share of each reaction among them."""
SCHEMAS: Mapping[Kind, pa.Schema] = {"comments": COMMENTS, "reactions": REACTIONS}

_SUMMARY_FILE = "explorer.json"
_REMEDY = "explore again"


class ClusterPair(Record):
    """A comment cluster and a reaction cluster of the same posts.

    ``lift`` is ``weight`` over the weight expected by chance.
    """

    first: int = Field(description="The comment cluster.")
    second: int = Field(description="The reaction cluster.")
    weight: float
    expected: float
    lift: float


class ExplorerSummary(Record):
    """The content of ``explorer.json``."""

    format: Literal["vise-explorer-1"] = "vise-explorer-1"
    synthetic: bool
    labels: bool = Field(description="Whether posts were counted by the input labels.")
    shuffled: bool = Field(description="Whether those labels were permuted over posts, as a control.")
    posts: int
    reaction_names: tuple[str, ...]
    thumbnail: int = Field(description="Side of a sample image, pixels.")
    comments: LabelSpread | None
    reactions: LabelSpread | None
    agreement: LabelAgreement | None
    pairs: tuple[ClusterPair, ...]
    map_explained: dict[Kind, tuple[float, float]] = Field(
        description="Share of the centroids' variance that each axis of the map shows."
    )


@dataclass(frozen=True)
class ExplorerTables:
    """The content of an explorer folder in memory.

    Attributes
    ----------
    summary: what explorer.json says.
    tables: the rows of each kind that was clustered, columns as in ``SCHEMAS``.
    """

    summary: ExplorerSummary
    tables: dict[Kind, list[dict[str, Any]]]


def table_file(kind: Kind) -> str:
    """Return the path of a kind's table in the folder."""
    return f"{kind}.parquet"


def strip_file(kind: Kind, cluster: int) -> str:
    """Return the path of a cluster's strip of sample images in the folder."""
    return f"thumbnails/{kind}-{cluster:05d}.jpg"


def write_explorer_summary(folder: Path, summary: ExplorerSummary) -> None:
    """Write ``explorer.json``."""
    write_json(folder / _SUMMARY_FILE, summary)


def write_explorer_table(folder: Path, kind: Kind, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of one kind, in the order of the clusters."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[kind]), folder / table_file(kind))


def read_explorer(folder: Path) -> ExplorerTables:
    """Read an explorer folder. Raises BadInput, naming the file, if one is missing, damaged or of another format."""
    return parse_explorer(
        lambda name: (folder / name).read_bytes(),
        {path.name for path in folder.iterdir()} if folder.is_dir() else (),
        str(folder),
    )


def parse_explorer(read: Callable[[str], bytes], files: Collection[str], source: str) -> ExplorerTables:
    """Parse an explorer from ``read(path)``; ``files`` are the existing paths.

    Raises BadInput, naming ``source`` and the file, if one is missing, damaged or of another format.
    """
    if _SUMMARY_FILE not in files:
        raise BadInput(f"{source}: no {_SUMMARY_FILE}; copy the folder whole, or {_REMEDY}")
    summary = parse_json(read(_SUMMARY_FILE), ExplorerSummary, f"{source}/{_SUMMARY_FILE}", remedy=_REMEDY)
    tables: dict[Kind, list[dict[str, Any]]] = {}
    for kind in summary.map_explained:
        name = table_file(kind)
        if name not in files:
            raise BadInput(f"{source}: no {name}; copy the folder whole, or {_REMEDY}")
        try:
            tables[kind] = pq.read_table(io.BytesIO(read(name))).cast(SCHEMAS[kind]).to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise BadInput(
                f"{source}/{name}: not a Parquet file of {kind} clusters ({error}): {_REMEDY}"
            ) from error
    return ExplorerTables(summary, tables)
