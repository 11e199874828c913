"""Specs of class activation maps: of a whole set, and of one uploaded image."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Compute, Record, Result, Spec
from .tasks import FolderTask, Task

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
    """Where a predictor looks: class activation maps over a labelled set, scored where masks exist."""

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
    compute: Compute = Field(default_factory=Compute)


class MeanAreas(Record):
    """Mean area under the class's probability over the explained images, 0 to 1."""

    map: float = Field(description="In the order of the method's map.")
    random: float = Field(description="In the order of a random map of the same grid.")
    centre: float = Field(description="From the centre outwards.")


class Faithfulness(Record):
    """Insertion and deletion (Petsiuk et al. 2018) of the maps, with what needs no network to compare with."""

    insertion: MeanAreas = Field(description="Pixels put back on the blurred image: higher is better.")
    deletion: MeanAreas = Field(description="Pixels taken away: lower is better.")


class ExplainResult(Result):
    """Artifacts: ``overlays`` (folder of PNG), ``explanations`` (JSON)."""

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
        None, description="Insertion and deletion areas; None where they were not asked for."
    )

    def headline(self) -> dict[str, float]:
        return {} if self.pointing is None else {"pointing": self.pointing}


MAX_COMPARED = 6
"""Predictors in one comparison; the paper's Figs. 7 and 8 have four."""


class QualitativeSpec(Spec):
    """Several predictors on the same images: what each says, and where it looks (Sec. 5.3, Figs. 7, 8)."""

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
        description="Only images that no predictor was trained or chosen on; refused where one does not say which.",
    )
    compute: Compute = Field(default_factory=Compute)


class ComparedPredictor(Record):
    """A column of the comparison."""

    role: str = Field(description="The input that it came in by.")
    method: str
    backbone: str
    protocol: str | None = None
    accuracy: float = Field(description="Share of the shown images whose predicted class is right, percent.")


class Answer(Record):
    """What one predictor says of one image."""

    predicted: str
    probability: float = Field(description="Of the predicted class.")
    right: bool
    overlay: str = Field(description="Its file in the artifact ``comparison``.")


class ComparedImage(Record):
    """A row of the comparison; ``answers`` in the order of the predictors."""

    path: str = Field(description="In the data set.")
    label: str
    picture: str = Field(description="Its file in the artifact ``comparison``.")
    answers: tuple[Answer, ...]


class QualitativeResult(Result):
    """Artifacts: ``comparison`` (pictures, overlays and this as JSON), ``figure`` (PNG, SVG, PDF)."""

    task: str
    method: CamMethod
    target: Literal["predicted", "true"]
    unseen: bool = Field(description="Whether no predictor was trained or chosen on any of the images.")
    predictors: tuple[ComparedPredictor, ...]
    images: tuple[ComparedImage, ...]

    def headline(self) -> dict[str, float]:
        return {"images": len(self.images), "predictors": len(self.predictors)}


class PredictOptions(Record):
    """What to compute for an uploaded image."""

    method: CamMethod = "cam"
    target_class: str | None = Field(None, description="Class whose map is drawn; null: the most probable.")
    strength: float = Field(0.5, ge=0, le=1, description="Opacity of the map over the image.")
    colour_map: ColourMap = Field(COLOUR_MAP, description="Colours of the map over the image.")
    overlay: bool = Field(
        True,
        description="Send the map drawn over the image. Drawing takes longer than the network: whoever draws the map "
        "over the image themselves does without.",
    )


class EngagementOptions(Record):
    """What to say about the engagement that a pretrained model expects of an image."""

    top: int = Field(10, ge=1, le=100, description="Comment clusters told, the most probable ones.")
