"""What the paper's Figures 7 and 8 say in words; their pictures are lost from our text."""

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
    """What one of the paper's models says of one image."""

    printed: str
    predicted: str
    probability: float
    right: bool


class PublishedExample(Record):
    """One image; ``answers`` in the order of the figure's methods."""

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
    """``figure7`` or ``figure8``. Raises BadInput for another name, and for an answer not as the paper prints them."""
    if figure not in QUALITATIVE:
        raise BadInput(f"no published predictions in {figure!r}; one of {', '.join(QUALITATIVE)}")
    content = read_yaml(Path(__file__).with_name("qualitative.yaml"))[figure]
    rows = tuple(
        PublishedExample(
            label=row["label"], answers=tuple(_answer(one, row["label"]) for one in row["answers"])
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
