"""The predictions that the paper's Figures 7 and 8 print; their pictures are lost from our text."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.base import Record

from ..tables import read_yaml

QUALITATIVE = ("figure7", "figure8")
_ANSWER = re.compile(r"(?P<predicted>\w+) \((?P<probability>\d\.\d\d)\)")


class PublishedAnswer(Record):
    """A printed prediction of one of the paper's models for an image."""

    printed: str
    predicted: str
    probability: float
    right: bool


class PublishedExample(Record):
    """An image of a published figure; ``answers`` are in the order of its methods."""

    label: str
    answers: tuple[PublishedAnswer, ...]


class PublishedQualitative(Record):
    """Predictions of several models on the same images, as published."""

    name: str
    section: str
    caption: str
    task: str
    backbone: str
    methods: tuple[str, ...]
    rows: tuple[PublishedExample, ...]
    notes: tuple[str, ...] = ()


@cache
def published_qualitative(figure: str) -> PublishedQualitative:
    """Return ``figure7`` or ``figure8``. Raises BadInput for another name or a prediction in no printed form."""
    if figure not in QUALITATIVE:
        raise BadInput(f"no published predictions in {figure!r}; one of {', '.join(QUALITATIVE)}")
    content = read_yaml(Path(__file__).with_name("qualitative.yaml"))[figure]
    rows = tuple(
        PublishedExample(
            label=row["label"], answers=tuple(_answer(printed, row["label"]) for printed in row["answers"])
        )
        for row in content.pop("rows")
    )
    return PublishedQualitative(name=figure, rows=rows, **content)


def _answer(printed: str, label: str) -> PublishedAnswer:
    match = _ANSWER.fullmatch(printed)
    if match is None:
        raise BadInput(f"answer {printed!r}: write it as printed, such as Joy (0.77)")
    return PublishedAnswer(
        printed=printed,
        predicted=match["predicted"],
        probability=float(match["probability"]),
        right=match["predicted"] == label,
    )
