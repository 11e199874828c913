"""Qualitative: several predictors on the same images (Sec. 5.3, Figs. 7, 8)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record, Result, Spec
from .compute import DeviceCompute
from .estimate import Cost, Work
from .explain import CamMethod
from .stage import InputRole, Stage
from .tasks.catalogue import TASKS
from .tasks.kinds import FolderTask, Task

MAX_COMPARED = 6
"""Predictors in one comparison; the paper's Figs. 7 and 8 have four."""


class QualitativeSpec(Spec):
    """Compare the predictions and heat maps of several predictors on the same images (Sec. 5.3, Figs. 7, 8)."""

    task: Task = Field(default_factory=FolderTask, description="How the data set's folder is laid out.")
    method: CamMethod = "cam"
    target: Literal["predicted", "true"] = Field("predicted", description="The class whose map is drawn.")
    limit: int = Field(
        14,
        ge=1,
        le=100,
        description="Images, evenly over classes: the first eight are Fig. 7, the rest Fig. 8.",
    )
    strength: float = Field(0.5, ge=0, le=1, description="Opacity of the map over the image.")
    unseen_only: bool = Field(
        True,
        description="Only images that no predictor was trained or selected on; an error where a predictor does not list them.",
    )
    compute: DeviceCompute = Field(default_factory=DeviceCompute)


class ComparedPredictor(Record):
    """A column of the comparison: a predictor."""

    role: str = Field(description="Input role of the predictor.")
    method: str
    backbone: str
    protocol: str | None = None
    accuracy: float = Field(description="Share of the shown images whose predicted class is right, percent.")


class Answer(Record):
    """The prediction of one predictor for one image."""

    predicted: str
    probability: float = Field(description="Of the predicted class.")
    right: bool
    overlay: str = Field(description="Its file in the artifact ``comparison``.")


class ComparedImage(Record):
    """A row of the comparison; ``answers`` are in the order of the predictors."""

    path: str = Field(description="In the data set.")
    label: str
    picture: str = Field(description="Its file in the artifact ``comparison``.")
    answers: tuple[Answer, ...]


class QualitativeResult(Result):
    """Result of ``qualitative``. Artifacts: ``comparison`` (pictures, overlays, JSON), ``figure`` (PNG, SVG, PDF)."""

    task: str
    method: CamMethod
    target: Literal["predicted", "true"]
    unseen: bool = Field(description="Whether no predictor was trained or chosen on any of the images.")
    predictors: tuple[ComparedPredictor, ...]
    images: tuple[ComparedImage, ...]

    def headline(self) -> dict[str, float]:
        return {"images": len(self.images), "predictors": len(self.predictors)}


COMPARED = ("predictor", *(f"predictor_{number}" for number in range(2, MAX_COMPARED + 1)))
"""Roles of the predictors of one comparison, in the order of the figure's columns."""


STAGE = Stage(
    name="qualitative",
    title="Compare predictions",
    help="Compare predictions and heat maps of several predictors on the same images (Figs. 7, 8).",
    runner="vise_core.report.qualitative_stage:run",
    spec=QualitativeSpec,
    result=QualitativeResult,
    queue="gpu",
    inputs={
        "dataset": InputRole(help="Folder of labelled images.", artifact="evaluation_set", also=tuple(TASKS)),
        **{
            role: InputRole(
                help=f"Column {number} of the figure.", artifact="predictor", required=number <= 2
            )
            for number, role in enumerate(COMPARED, 1)
        },
    },
    outputs={
        "comparison": "Images, overlays and the prediction of each predictor.",
        "figure": "The same drawn as the paper does: PNG, SVG and PDF.",
    },
    names=("task.name",),
    cost=Cost(work=lambda spec, facts: Work(spec.limit, f"{spec.limit:,} images", (spec.method,))),
)
