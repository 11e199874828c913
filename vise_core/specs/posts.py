"""Specs of the post record, of ingest and of the sample data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from .base import Record, Result, Spec
from .fields import REACTIONS as REACTIONS
from .fields import Fields, FlatFields

EMOTIONS = ("anger", "fear", "joy", "love", "sadness", "surprise")
"""The six classes of UnbiasedEmotion, and of the sample evaluation set."""


class Mapped(Record):
    """What every layout of posts has: a map of its fields."""

    fields: Fields = Field(default_factory=Fields, description="Where the parts of a post stand in its row.")


class ImagesBeside(Mapped):
    """A layout that names its images as files."""

    images: str = Field(
        "images",
        description="The folder of images, relative to the folder of posts. A name that is not found there is looked "
        "for beside the file of posts, then in the folder of posts.",
    )


class TextFile(ImagesBeside):
    """Posts in a text file."""

    encoding: str | None = Field(
        None, max_length=40, description="Such as utf-8 or cp1252; null: detected, UTF-16 and a BOM too."
    )

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                "".encode(value)
                b"".decode(value)
            except (LookupError, UnicodeError) as error:
                raise ValueError(f"{value!r} is not an encoding that Python knows") from error
        return value


_FILES = "The file of posts, relative to the folder, or a pattern such as part-*{}. Also as .gz or .zst."


class JsonlSource(TextFile):
    """A folder with one JSON object a line and the images beside it."""

    kind: Literal["jsonl"] = "jsonl"
    posts: str = Field("posts.jsonl", description=_FILES.format(".jsonl"))


class JsonSource(TextFile):
    """A folder with a JSON file that holds a list of posts, and the images beside it."""

    kind: Literal["json"] = "json"
    posts: str = Field("posts.json", description=_FILES.format(".json"))
    list: str | None = Field(
        None,
        max_length=200,
        description="Where the list stands in the file, such as data.children; null: the file is the list, or an object "
        "that holds it as data, data.children, posts, posts.data, feed.data, items, rows or results.",
    )


class CsvSource(TextFile):
    """A folder with a table of posts (CSV, TSV) and the images beside it."""

    kind: Literal["csv"] = "csv"
    posts: str = Field("posts.csv", description=_FILES.format(".csv"))
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Between two cells; null: detected (comma, ; tab or |)."
    )
    fields: FlatFields = Field(
        default_factory=FlatFields, description="Where the parts of a post stand in its row."
    )


class ParquetSource(ImagesBeside):
    """Parquet files with columns for id, image (bytes, a struct of bytes and path, or a name), comments, reactions."""

    kind: Literal["parquet"] = "parquet"
    posts: str = Field(
        "**/*.parquet",
        description="Pattern of the files, relative to the folder; data/*.parquet of the datasets library too.",
    )


class WebDatasetSource(Mapped):
    """Tar shards that hold <key>.json and <key>.jpg (or png, webp) for each post."""

    kind: Literal["webdataset"] = "webdataset"
    image: str | None = Field(
        None,
        max_length=50,
        description="The member that is the image, such as jpg, where samples hold several; null: the only one.",
    )


class PicturesSource(Mapped):
    """A folder of pictures, each with a .json (or .txt, a comment a line) of the same name beside it."""

    kind: Literal["pictures"] = "pictures"


class SampleSource(Record):
    """Generated posts and a matching six-emotion evaluation set. Synthetic, and shown as such."""

    kind: Literal["sample"] = "sample"
    posts: int = Field(6000, ge=10, le=1_000_000, description="How many posts to generate.")
    evaluation_images: int = Field(
        600, ge=60, le=60_000, description="How many labelled images the evaluation set holds."
    )
    image_size: int = Field(64, ge=32, le=512, description="Side of the generated images, pixels.")


PostSource = Annotated[
    JsonlSource | JsonSource | CsvSource | ParquetSource | WebDatasetSource | PicturesSource | SampleSource,
    Field(discriminator="kind"),
]


class IngestSpec(Spec):
    """Read posts from anywhere, check each, and write WebDataset tar shards."""

    source: PostSource = Field(default_factory=JsonlSource, description="The layout that the posts come in.")
    posts_per_shard: int = Field(1000, ge=1, le=100_000, description="Posts in one tar shard.")
    max_image_pixels: int = Field(
        50_000_000, ge=1024, description="Larger images are refused before they are decoded."
    )
    max_image_side: int = Field(
        512,
        ge=32,
        le=8192,
        description="Images with a longer shorter side are scaled down to it when stored.",
    )
    max_comments: int = Field(
        10_000, ge=1, description="Comments kept of one post; more are cut, and the post counted."
    )
    max_comment_characters: int = Field(2000, ge=1, description="Longer comments are cut, and counted.")


class Refusals(Record):
    """Posts that were refused, or kept after a repair, counted by reason."""

    refused: dict[str, int] = Field(default_factory=dict)
    normalised: dict[str, int] = Field(default_factory=dict)


class IngestResult(Result):
    """Artifacts: ``posts`` (folder of shards), ``report`` (JSON), and for sample data ``evaluation_set``."""

    posts: int
    shards: int
    comments: int
    reactions: int
    refusals: Refusals
    read: int = Field(0, description="Posts found in the source: those kept and those rejected.")
    dropped: dict[str, int] = Field(
        default_factory=dict,
        description="What was left out of posts that were kept, and files that were not used, counted by reason; see "
        "``DROPPED``.",
    )
    other_reactions: dict[str, int] = Field(
        default_factory=dict, description="Reactions under names that are none of the five, by name."
    )
    unread_reactions: dict[str, int] = Field(
        default_factory=dict,
        description="Posts that hold reactions where source.fields does not look, by the place.",
    )
    warnings: tuple[str, ...] = Field((), description="What makes these posts doubtful, in sentences.")

    def headline(self) -> dict[str, float]:
        return {
            "posts": self.posts,
            "refused": sum(self.refusals.refused.values()),
            "comments": self.comments,
            **{reason: float(count) for reason, count in self.dropped.items() if count},
        }


DROPPED = {
    "comments_over_limit": "comments beyond max_comments of a post",
    "comments_cut": "comments cut at max_comment_characters",
    "comments_empty": "comments without a visible character",
    "comments_without_text": "comments without a text at source.fields.text",
    "replies_too_deep": "replies nested too deep",
    "other_reactions": "reactions of unknown names",
    "reactions_without_type": "reactions whose type the source does not tell",
    "unread_reactions": "posts with reactions where source.fields does not look",
    "posts_without_reactions": "posts whose reaction counts are all zero or missing",
    "posts_without_comments": "posts without a comment",
    "images_without_post": "image files that no post names",
    "other_files": "files that are neither images nor posts",
    "extra_members": "members of tar shards that are neither the image nor the JSON of a post",
}
"""Reason → what ``IngestResult.dropped`` counts under it."""


class SubsetSpec(Record):
    """Which posts make clusters and which are pretrained on: by a hash of the post id, so stable."""

    cluster_fraction: float = Field(
        20 / 270,
        gt=0,
        lt=1,
        description="Share of posts that only make clusters and are never pretrained on (paper: 20M of 270M).",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the hash; another seed, another split.")
