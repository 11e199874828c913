"""Specs of the downstream tasks and of how they are split (Sec. 4.3, Table 8)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import Record


class FolderTask(Record):
    """<root>/<class>/**/<image>: the class is the first folder under the root."""

    kind: Literal["folder"] = "folder"
    name: str = Field("folder", description="Name of the task in tables.")


class CsvTask(Record):
    """A CSV file of path,label and perhaps split (train, val, test)."""

    kind: Literal["csv"] = "csv"
    name: str = Field("csv", description="Name of the task in tables.")
    manifest: str = Field("labels.csv", description="The CSV file, relative to the data set's folder.")
    delimiter: str = Field(",", min_length=1, max_length=1)
    path_column: str = "path"
    label_column: str = "label"
    split_column: str | None = Field("split", description="Used where the file has it.")


Task = Annotated[FolderTask | CsvTask, Field(discriminator="kind")]


class SplitSpec(Record):
    """Random splits of train / val / test; val and train round down, test takes the rest (Table 8)."""

    count: int = Field(5, ge=1, le=100)
    train: float = Field(0.7, gt=0, lt=1)
    val: float = Field(0.1, gt=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _leaves_a_test_set(self) -> SplitSpec:
        if self.train + self.val >= 1:
            raise ValueError("train + val must leave a share for test")
        return self
