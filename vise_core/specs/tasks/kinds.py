"""Specs of the downstream tasks: how a data set's folder is laid out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vise_core.files.names import printable_name

from ..base import PathInside, Record
from .metrics import Metric

NAMED_BY_DATA = (
    "Name of the task in tables; empty: the name of the data set, or of the folder for a local run."
)


class FolderTask(Record):
    """Images in class folders: <root>/<class>/**/<image>, or <root>/<train, val, test>/<class>/**/<image>."""

    kind: Literal["folder"] = "folder"
    name: str = Field("", description=NAMED_BY_DATA)
    metric: Metric = Field("accuracy", description="Chooses on val, and is reported.")


class CsvTask(Record):
    """Images listed in a CSV file of path, label and perhaps split.

    The survey of a data set proposes all of its fields.
    """

    kind: Literal["csv"] = "csv"
    name: str = Field("", description=NAMED_BY_DATA)
    manifest: PathInside = Field("labels.csv", description="The CSV file, relative to the data set's folder.")
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = Field("utf-8", max_length=40, description="Such as utf-8, utf-16, cp1252 or shift_jis.")
    header: bool = Field(
        True, description="The first line names the columns. Off: columns are called 1, 2, 3 and so on."
    )
    images: PathInside = Field(
        "",
        description="Folder that paths are relative to, below the data set's; empty: the data set's folder, or that of "
        "the CSV file.",
    )
    path_column: str = "path"
    label_column: str = "label"
    split_column: str | None = Field("split", description="Used where the file has it.")
    text_column: str | None = Field(None, description="A sentence for each image, for setups that read it.")
    metric: Metric = Field("accuracy", description="Chooses on val, and is reported.")

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError as error:
            raise ValueError(f"there is no text encoding {value!r}; write utf-8, utf-16 or cp1252") from error
        return value


class UnbiasedEmotionTask(Record):
    """UnbiasedEmotion: <emotion>/**/<image> at the root or in images/, six emotions; split at random."""

    kind: Literal["unbiased_emotion"] = "unbiased_emotion"
    name: str = Field("UnbiasedEmotion", description="Name of the task in tables.")


class PoliticsTask(Record):
    """Politics, as released: imgs/LEFT|RIGHT/… and train_test_paths.pickle; or a manifest of path, label and split."""

    kind: Literal["politics"] = "politics"
    name: str = Field("Politics", description="Name of the task in tables.")
    manifest: PathInside | None = Field(
        None,
        description="The list, relative to the data set's folder: train_test_paths.pickle, or a manifest of path (or "
        "local_path), label (left, right) and split (train, test) with delimiter , ; | or tab. null: the pickle, or the "
        "only .csv, .tsv or .txt there.",
    )


HatefulSplit = Literal["train", "dev", "test", "dev_seen", "dev_unseen", "test_seen", "test_unseen"]
"""Phase 1 has train, dev, test; phase 2 train and the others."""


class HatefulMemesTask(Record):
    """Hateful Memes: img/*.png and <split>.jsonl. The default files are phase 1's train and dev, as in the paper."""

    kind: Literal["hateful_memes"] = "hateful_memes"
    name: str = Field("Hateful Memes", description="Name of the task in tables.")
    train: HatefulSplit = Field("train", description="File that trains.")
    val: HatefulSplit = Field(
        "dev", description="File that chooses: dev (phase 1), dev_seen or dev_unseen (phase 2)."
    )
    test: HatefulSplit | None = Field(
        None,
        description="File that reports; its rows without a label are left out. null: val reports, as in the paper.",
    )

    @model_validator(mode="after")
    def _each_file_once(self) -> HatefulMemesTask:
        named = [name for name in (self.train, self.val, self.test) if name is not None]
        if len(set(named)) != len(named):
            raise ValueError(f"train, val and test must be different files, not {', '.join(named)}")
        return self


class CubTask(Record):
    """CUB-200-2011: images.txt, image_class_labels.txt, train_test_split.txt, images/. The published test part is val."""

    kind: Literal["cub"] = "cub"
    name: str = Field("CUB-200-2011", description="Name of the task in tables.")


class ImagenetTask(Record):
    """ImageNet, ILSVRC-2012: train/<wnid>/*.JPEG and val/<wnid>/*.JPEG."""

    kind: Literal["imagenet"] = "imagenet"
    name: str = Field("ImageNet", description="Name of the task in tables.")


Task = Annotated[
    FolderTask | CsvTask | UnbiasedEmotionTask | PoliticsTask | HatefulMemesTask | CubTask | ImagenetTask,
    Field(discriminator="kind"),
]


def named_task(task: Task, data: str) -> Task:
    """Return the task with a name for tables: its own, else ``data``, the name of its data set or folder."""
    if task.name:
        return task
    return task.model_copy(update={"name": printable_name(data) or task.kind})
