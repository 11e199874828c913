"""Figures 7 and 8 from our own runs: predictions of several models on the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field

from vise_core.errors import BadInput
from vise_core.specs.base import Record
from vise_core.specs.explain import CAM_METHODS
from vise_core.specs.qualitative import Answer, QualitativeResult

from .published import QUALITATIVE, PublishedExample, published_qualitative
from .text import backbone_title

IN_MAIN_FIGURE = 8
"""Images of a comparison that Fig. 7 shows; Fig. 8 shows those after them (App. A: more examples)."""

Pictures = Callable[[str, str], bytes]
"""(id of a comparison's run, name of a file of its artifact ``comparison``) → the file's content."""


class Comparison(Record):
    """A run that compared predictors, with the run id of each predictor's evaluation by role."""

    run: str
    result: QualitativeResult
    evaluations: dict[str, str] = Field(default_factory=dict)


class Column(Record):
    """A model of the figure. ``run`` is False for a method of the paper that the comparison lacks."""

    method: str
    backbone: str | None
    run: bool
    evaluation: str | None = Field(None, description="Id of the run that made the predictor.")

    @property
    def title(self) -> str:
        """Return the method with its backbone on a second line."""
        if self.backbone is None:
            return self.method
        return f"{self.method}\n{backbone_title(self.backbone)}"


class Example(Record):
    """An image with the predictions of each column's model (``answers``); None where it was not run."""

    path: str
    label: str
    picture: str
    answers: tuple[Answer | None, ...]


class QualitativeFigure(Record):
    """Figure 7 or 8. ``rows`` is empty without a comparison, or without images beyond those of Fig. 7."""

    name: str
    title: str
    caption: str = Field(description="The paper's caption.")
    run: str | None = Field(None, description="Id of the run that compared.")
    task: str | None = None
    map: str | None = Field(None, description="Map over the images, such as: CAM of the predicted class.")
    unseen: bool = True
    synthetic: bool = False
    columns: tuple[Column, ...]
    rows: tuple[Example, ...]
    published_methods: tuple[str, ...]
    published_rows: tuple[PublishedExample, ...]
    notes: tuple[str, ...] = ()


def qualitative(name: str, comparisons: Sequence[Comparison]) -> QualitativeFigure:
    """Fill ``figure7`` or ``figure8`` with the best of ``comparisons``, which come newest first.

    The paper's task goes before others, then real data before synthetic, then the newest. Raises BadInput for a name
    not in ``QUALITATIVE``.
    """
    if name not in QUALITATIVE:
        raise BadInput(f"no figure {name!r} of predictions; one of {', '.join(QUALITATIVE)}")
    paper = published_qualitative(name)
    common = {
        "name": name,
        "title": f"Figure {name.removeprefix('figure')}",
        "caption": paper.caption,
        "published_methods": paper.methods,
        "published_rows": paper.rows,
        "notes": paper.notes,
    }
    comparison = min(
        comparisons, key=lambda each: (each.result.task != paper.task, each.result.synthetic), default=None
    )
    if comparison is None:
        missing = tuple(Column(method=method, backbone=None, run=False) for method in paper.methods)
        return QualitativeFigure(columns=missing, rows=(), **common)
    result = comparison.result
    columns, order = _columns(paper.methods, comparison)
    shown = result.images[:IN_MAIN_FIGURE] if name == QUALITATIVE[0] else result.images[IN_MAIN_FIGURE:]
    rows = tuple(
        Example(
            path=image.path,
            label=image.label,
            picture=image.picture,
            answers=tuple(None if place is None else image.answers[place] for place in order),
        )
        for image in shown
    )
    return QualitativeFigure(
        run=comparison.run,
        task=result.task,
        map=f"{CAM_METHODS[result.method]} of the {result.target} class",
        unseen=result.unseen,
        synthetic=result.synthetic,
        columns=columns,
        rows=rows,
        **common,
    )


def _columns(
    methods: Sequence[str], comparison: Comparison
) -> tuple[tuple[Column, ...], tuple[int | None, ...]]:
    """Return the columns (the paper's methods, then ours) and the index of each one's predictor."""
    predictors = comparison.result.predictors
    left = dict(enumerate(predictors))
    columns: list[Column] = []
    order: list[int | None] = []
    for method in methods:
        places = [place for place, predictor in left.items() if predictor.method == method]
        if not places:
            columns.append(Column(method=method, backbone=None, run=False))
            order.append(None)
        for place in places:
            columns.append(_column(comparison, place))
            order.append(place)
            del left[place]
    for place in left:
        columns.append(_column(comparison, place))
        order.append(place)
    return tuple(columns), tuple(order)


def _column(comparison: Comparison, place: int) -> Column:
    predictor = comparison.result.predictors[place]
    return Column(
        method=predictor.method,
        backbone=predictor.backbone,
        run=True,
        evaluation=comparison.evaluations.get(predictor.role),
    )


def footnote(figure: QualitativeFigure, *, published: bool) -> str:
    """Return the note below the figure: its source and the meaning of the signs that occur."""
    notes = [f"{figure.title} of VisE (Jia et al., 2021), from our own runs"]
    if figure.rows:
        notes.append(f"{figure.task}; maps: {figure.map}")
        notes.append("✓ right, ✗ wrong, with the probability of the predicted class")
        if figure.unseen:
            notes.append("no model was trained on these images")
    if any(not column.run for column in figure.columns):
        notes.append("not run: a model of the paper without a run of ours")
    if figure.synthetic:
        notes.append("synthetic data: generated, not real")
    if published:
        notes.append(
            "published: the paper's own predictions; its pictures are lost from our text"
            if figure.published_rows
            else "published: the paper's own predictions are lost from our text"
        )
    return "; ".join(notes)
