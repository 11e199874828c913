"""Survey: count a data set and find what is wrong with it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from .base import Provenance, Result, Spec
from .estimate import Cost, per_item
from .posts.sources import PostSource
from .stage import InputRole, Stage
from .tasks.catalogue import TASKS
from .tasks.kinds import Task

DataKind = Literal["images", "posts", "weights"]


Layout = Literal[
    "folder", "csv", "unbiased_emotion", "politics", "hateful_memes", "cub", "imagenet",
    "jsonl", "json", "parquet", "webdataset", "pictures", "shards", "weights", "unknown",
]  # fmt: skip
"""How files lie. Those of images are the kinds of tasks, those of posts the kinds of sources."""


class SurveySpec(Spec):
    """Survey a data set: counts, label balance, unreadable files, thumbnails. Nothing is changed."""

    kind: DataKind = "images"
    samples: int = Field(24, ge=0, le=200, description="Thumbnails to make, evenly over classes.")
    decode: bool = Field(
        True,
        description="Open every image; off: only names and lists are read, which is fast. Posts are always read whole.",
    )
    source: PostSource | None = Field(
        None,
        description="kind posts only: how the posts are read, as ingest will read them; null: it is guessed.",
    )


class SurveyResult(Result):
    """Result of ``survey`` and ``fetch``. Artifact: ``survey`` (``survey.json`` and ``thumbnails/``).

    A fetch has the artifact ``data``, too: the unpacked files.
    """

    kind: DataKind
    layout: Layout
    images: int = Field(
        0, description="Labelled images, or posts where they are counted without reading all."
    )
    bytes: int = Field(0, description="Of all files.")
    files: int = 0
    digest: str = Field(
        "", description="Of the manifest of all files: the version of the data set. Empty for a fetch."
    )
    classes: dict[str, int] = Field(default_factory=dict, description="Class → images; the largest 1000.")
    parts: dict[str, int] = Field(default_factory=dict, description="Split → images, where it is published.")
    rejected: dict[str, int] = Field(default_factory=dict, description="Reason → files that cannot be used.")
    examined: int = Field(
        0, description="Images or posts that were read to the end, as the next stage reads them."
    )
    dropped: dict[str, int] = Field(
        default_factory=dict, description="Posts: what ingest will leave out of posts it keeps, by reason."
    )
    source: dict[str, Any] | None = Field(
        None, description="Posts: the source of an ingest spec that was guessed or given, and read here."
    )
    task: Task | None = Field(
        None,
        description="Labelled images: how an evaluation reads them, as the survey found the lists written.",
    )
    rejection: str | None = Field(
        None,
        description="Labelled images: why an evaluation with this task would fail; null where it would run.",
    )
    other: dict[str, int] = Field(
        default_factory=dict,
        description="Labelled images: files that are not images by their names, and lists, by ending.",
    )
    hidden: int = Field(
        0, description="Labelled images: files that systems add, in hidden folders, and in masks/."
    )
    unlabelled: int = Field(0, description="Images without a label: they are not read.")
    warnings: tuple[str, ...] = Field((), description="Warnings about the data set, in sentences.")

    def with_provenance(self, provenance: Provenance) -> Self:
        """Return the result with its provenance and the digest of the input, hashed before the survey read it."""
        digest = provenance.inputs.get("dataset", self.digest)
        return self.model_copy(update={"provenance": provenance, "digest": digest})

    def headline(self) -> dict[str, float]:
        rejected = float(sum(self.rejected.values()))
        return {"images": float(self.images), "classes": float(len(self.classes)), "rejected": rejected}


STAGE = Stage(
    name="survey",
    title="Survey data",
    help="Count a data set, list what cannot be read, measure label balance, and make thumbnails.",
    runner="vise_core.data.survey:run",
    spec=SurveySpec,
    result=SurveyResult,
    queue="cpu",
    inputs={
        "dataset": InputRole(
            help="Labelled images, posts, or shards made by ingest.",
            artifact="evaluation_set",
            also=(*TASKS, "posts", "data"),
        )
    },
    outputs={"survey": "Counts, what cannot be read, thumbnails."},
    cost=Cost(work=per_item("images or posts"), done=lambda result: result.get("images")),
)
