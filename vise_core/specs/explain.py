"""Explain: class activation maps over a labelled set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Record, Result, Spec
from .compute import DeviceCompute
from .estimate import Cost, InputFacts, Work
from .stage import LABELLED_IMAGES, InputRole, Stage
from .tasks.kinds import FolderTask, Task

CAM_METHODS: dict[str, str] = {
    "cam": "CAM",
    "gradcam": "Grad-CAM",
    "gradcampp": "Grad-CAM++",
    "scorecam": "Score-CAM",
    "eigencam": "Eigen-CAM",
}
"""Class activation methods by name, with the title that people know them by.

The name of Grad-CAM++ is spelt without signs: a + in a form or an address means a space.
"""


CamMethod = Literal["cam", "gradcam", "gradcampp", "scorecam", "eigencam"]


DeletionBaseline = Literal["mean", "blur"]


CLASS_FREE_METHODS = frozenset({"eigencam"})
"""Methods whose map is the same for every class: it shows what the network sees, not what speaks for a class."""


ColourMap = Literal["inferno", "magma", "viridis", "cividis"]


COLOUR_MAPS: dict[ColourMap, str] = {
    "inferno": "Inferno",
    "magma": "Magma",
    "viridis": "Viridis",
    "cividis": "Cividis",
}
"""matplotlib's maps for heat, with titles. Lightness rises evenly in each: they read in grey, and without telling
hues apart. A rainbow has bands that are not in the data."""


COLOUR_MAP: ColourMap = "inferno"
"""Of the four it has the widest range of lightness, which sets heat apart from a photograph's own colours."""


class ExplainSpec(Spec):
    """Make class activation maps of labelled images, and score them where masks exist."""

    task: Task = Field(default_factory=FolderTask, description="How the data set's folder is laid out.")
    method: CamMethod = "cam"
    target: Literal["predicted", "true"] = Field("predicted", description="The class whose map is drawn.")
    limit: int = Field(24, ge=1, le=10_000, description="Images to explain, evenly over classes.")
    strength: float = Field(0.5, ge=0, le=1, description="Opacity of the map over the image.")
    faithfulness: bool = Field(
        False,
        description="Score each map by insertion and deletion, beside a random and a central one; slow.",
    )
    faithfulness_steps: int = Field(
        32, ge=2, le=1000, description="Points of the insertion and deletion curves, six curves an image."
    )
    deletion_baseline: DeletionBaseline = Field(
        "mean", description="What deleted pixels become: the mean colour, or those of the blurred image."
    )
    compute: DeviceCompute = Field(default_factory=DeviceCompute)


class MeanAreas(Record):
    """Mean area under the class's probability over the explained images, 0 to 1."""

    map: float = Field(description="In the order of the method's map.")
    random: float = Field(description="In the order of a random map of the same grid.")
    centre: float = Field(description="From the centre outwards.")


class Faithfulness(Record):
    """Insertion and deletion scores (Petsiuk et al. 2018) of the maps and of two baselines, random and centre."""

    insertion: MeanAreas = Field(description="Pixels put back on the blurred image: higher is better.")
    deletion: MeanAreas = Field(description="Pixels removed: lower is better.")


class ExplainResult(Result):
    """Result of ``explain``. Artifacts: ``overlays`` (folder of PNG), ``explanations`` (JSON)."""

    images: int
    accuracy: float = Field(
        description="Share of the explained images whose predicted class is right, percent."
    )
    pointing: float | None = Field(
        description="Pointing game: share of maps whose peak lies in the mask, percent; None without masks."
    )
    pointing_chance: float | None = Field(
        description="What a random peak would score: mean share of the image that the mask covers, percent."
    )
    faithfulness: Faithfulness | None = Field(
        None, description="Insertion and deletion areas; None where not requested."
    )

    def headline(self) -> dict[str, float]:
        return {} if self.pointing is None else {"pointing": self.pointing}


def _work(spec: ExplainSpec, _: InputFacts) -> Work:
    steps = spec.faithfulness_steps if spec.faithfulness else 0
    return Work(spec.limit, f"{spec.limit:,} images", (spec.method, steps))


STAGE = Stage(
    name="explain",
    title="Explain",
    help="Draw and score class activation maps.",
    runner="vise_core.explain.stage:run",
    spec=ExplainSpec,
    result=ExplainResult,
    queue="gpu",
    inputs={
        "predictor": InputRole(help="Made by evaluate.", artifact="predictor"),
        "dataset": LABELLED_IMAGES,
    },
    outputs={"overlays": "PNG pictures.", "explanations": "What each picture shows."},
    names=("task.name",),
    presets={"CAM of the predicted class": {}},
    cost=Cost(work=_work),
)
