"""What ``vise tasks verify`` reports of a folder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base import Record
from .splits import SplitName

Verdict = Literal["complete", "incomplete", "unusable"]


class Listed(Record):
    """The number of files of a kind, and the first of them."""

    number: int = 0
    first: tuple[str, ...] = ()


class SplitCount(Record):
    """Number of images of one split: in the folder, and as published."""

    split: SplitName
    found: int
    expected: int | None = Field(description="None where nothing is published for this choice of splits.")
    classes: dict[str, int] = Field(description="Class → images of it in this split.")


class TaskReport(Record):
    """Report of ``vise tasks verify``. If it is not usable, an evaluation would reject the folder."""

    kind: str
    title: str
    images: int = Field(0, description="Labelled images whose file is there.")
    splits: tuple[SplitCount, ...] = Field((), description="Random splits: the sizes of the first one.")
    classes_found: int = 0
    classes_expected: int | None = None
    unlabelled: int = Field(0, description="Rows of a test set that have no label; they are left out.")
    missing: Listed = Field(Listed(), description="Files that the lists name and that are not there.")
    unreadable: Listed = Field(Listed(), description="Files that are no image, or a damaged one.")
    shared: Listed = Field(Listed(), description="The same file in two splits, by content.")
    repeated: Listed = Field(Listed(), description="The same file twice in one split, by content.")
    decoded: bool = Field(
        False, description="Whether files were opened: without, only lists and names are checked."
    )
    verdict: Verdict
    sentences: tuple[str, ...] = Field(description="Findings and what to do, in sentences.")

    @property
    def usable(self) -> bool:
        """Whether an evaluation would accept the folder."""
        return self.verdict != "unusable"
