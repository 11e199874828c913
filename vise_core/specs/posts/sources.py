"""The layouts that posts come in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from ..base import PathInside, Record
from .fields import Fields, FlatFields


class Mapped(Record):
    """Base of all layouts of posts: a map of its fields."""

    fields: Fields = Field(default_factory=Fields, description="Where the parts of a post are in its row.")


class ImagesBeside(Mapped):
    """Base of layouts that name their images as files."""

    images: PathInside = Field(
        "images",
        description="The folder of images, relative to the folder of posts. A name that is not found there is looked "
        "for beside the file of posts, then in the folder of posts.",
    )


class TextFile(ImagesBeside):
    """Base of layouts of posts in a text file."""

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
    posts: PathInside = Field("posts.jsonl", description=_FILES.format(".jsonl"))


class JsonSource(TextFile):
    """A folder with a JSON file that holds a list of posts, and the images beside it."""

    kind: Literal["json"] = "json"
    posts: PathInside = Field("posts.json", description=_FILES.format(".json"))
    list: str | None = Field(
        None,
        max_length=200,
        description="Where the list is in the file, such as data.children; null: the file is the list, or an object "
        "that holds it as data, data.children, posts, posts.data, feed.data, items, rows or results.",
    )


class CsvSource(TextFile):
    """A folder with a table of posts (CSV, TSV) and the images beside it."""

    kind: Literal["csv"] = "csv"
    posts: PathInside = Field("posts.csv", description=_FILES.format(".csv"))
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Between two cells; null: detected (comma, ; tab or |)."
    )
    fields: FlatFields = Field(
        default_factory=FlatFields, description="Where the parts of a post are in its row."
    )


class ParquetSource(ImagesBeside):
    """Parquet files with columns for id, image (bytes, a struct of bytes and path, or a name), comments, reactions."""

    kind: Literal["parquet"] = "parquet"
    posts: PathInside = Field(
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
