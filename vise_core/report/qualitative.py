"""Figures 7 and 8 from our own runs: several models on the same images, right and wrong told apart."""

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
    """A run that compared predictors, and the evaluation that each of them comes from, by role."""

    run: str
    result: QualitativeResult
    evaluations: dict[str, str] = Field(default_factory=dict)


class Column(Record):
    """A model. ``run`` False: a method of the paper's figure that the comparison lacks."""

    method: str
    backbone: str | None
    run: bool
    evaluation: str | None = Field(None, description="Id of the run that made the predictor.")

    @property
    def title(self) -> str:
        if self.backbone is None:
            return self.method
        return f"{self.method}\n{backbone_title(self.backbone)}"


class Example(Record):
    """An image; ``answers`` in the order of the columns, None where the model was not run."""

    path: str
    label: str
    picture: str
    answers: tuple[Answer | None, ...]


class QualitativeFigure(Record):
    """``rows`` empty: no comparison was run, or it has no images beyond Fig. 7's."""

    name: str
    title: str
    caption: str = Field(description="The paper's caption.")
    run: str | None = Field(None, description="Id of the run that compared.")
    task: str | None = None
    map: str | None = Field(
        None, description="What lies over the images, such as: CAM of the predicted class."
    )
    unseen: bool = True
    synthetic: bool = False
    columns: tuple[Column, ...]
    rows: tuple[Example, ...]
    published_methods: tuple[str, ...]
    published_rows: tuple[PublishedExample, ...]
    notes: tuple[str, ...] = ()


def qualitative(name: str, comparisons: Sequence[Comparison]) -> QualitativeFigure:
    """``figure7`` or ``figure8`` of the best comparison there is; comparisons are given newest first.

    The paper's task goes before others, real data before generated, then the newest. Raises BadInput for a name
    not in ``QUALITATIVE``.
    """
    if name not in QUALITATIVE:
        raise BadInput(f"no figure {name!r} of predictions; one of {', '.join(QUALITATIVE)}")
    paper = published_qualitative(name)
    told = {
        "name": name,
        "title": f"Figure {name.removeprefix('figure')}",
        "caption": paper.caption,
        "published_methods": paper.methods,
        "published_rows": paper.rows,
        "notes": paper.notes,
    }
    found = min(
        comparisons, key=lambda one: (one.result.task != paper.task, one.result.synthetic), default=None
    )
    if found is None:
        missing = tuple(Column(method=method, backbone=None, run=False) for method in paper.methods)
        return QualitativeFigure(columns=missing, rows=(), **told)
    result = found.result
    columns, order = _columns(paper.methods, found)
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
        run=found.run,
        task=result.task,
        map=f"{CAM_METHODS[result.method]} of the {result.target} class",
        unseen=result.unseen,
        synthetic=result.synthetic,
        columns=columns,
        rows=rows,
        **told,
    )


def _columns(
    methods: Sequence[str], comparison: Comparison
) -> tuple[tuple[Column, ...], tuple[int | None, ...]]:
    """The paper's methods in its order, then our own; and where each stands among the comparison's predictors."""
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
    """What the signs mean and where it all comes from; only what applies."""
    told = [f"{figure.title} of VisE (Jia et al., 2021), from our own runs"]
    if figure.rows:
        told.append(f"{figure.task}; maps: {figure.map}")
        told.append("✓ right, ✗ wrong, with the probability of the predicted class")
        if figure.unseen:
            told.append("no model was trained on these images")
    if any(not column.run for column in figure.columns):
        told.append("where it says so, a model of the paper was not run")
    if figure.synthetic:
        told.append("synthetic data: generated, not real")
    if published:
        told.append(
            "published: the paper's own answers; its pictures are lost from our text"
            if figure.published_rows
            else "published: the paper's own answers are lost from our text"
        )
    return "; ".join(told)
