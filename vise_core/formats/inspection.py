"""The artifact ``inspection`` of the stage cluster: words, sizes and mean reactions of clusters.

One JSON file; record i of a kind describes cluster i.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from vise_core.errors import BadCheckpoint
from vise_core.specs.base import Record

from .json_file import read_json, write_json

MAX_BYTES = 256 * 2**20


class CommentCluster(Record):
    """Words and size of a comment cluster."""

    cluster: int
    size: int = Field(description="Comments of the cluster subset in it.")
    terms: tuple[tuple[str, float], ...] = Field(description="(word, weight), heaviest first.")
    comments: tuple[str, ...] = Field(description="Distinct comments nearest to the centroid, redacted.")


class ReactionCluster(Record):
    """Mean reactions and size of a reaction cluster."""

    cluster: int
    size: int = Field(description="Posts of the cluster subset in it.")
    reactions: dict[str, float] = Field(description="Mean share of each reaction among them; sums to 1.")


class Inspection(Record):
    """The content of the JSON file."""

    format: Literal["vise-inspection-1"] = "vise-inspection-1"
    synthetic: bool
    comments: tuple[CommentCluster, ...] = Field((), description="Empty where comments were not clustered.")
    reactions: tuple[ReactionCluster, ...] = Field(
        (), description="Empty where reactions were not clustered."
    )


def write_inspection(path: Path, inspection: Inspection) -> None:
    """Write the file."""
    write_json(path, inspection)


def read_inspection(path: Path) -> Inspection:
    """Read an inspection. Raises BadCheckpoint if the file is missing, damaged or of another format."""
    return read_json(path, Inspection, remedy="cluster again", error=BadCheckpoint, max_bytes=MAX_BYTES)
