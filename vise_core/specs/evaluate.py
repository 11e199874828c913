"""Specs of the downstream protocols (Sec. 4.2, 5.2, App. C.3) and of explanations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .backbones import BackboneName
from .base import Compute, Record, Result, Spec

CAM_METHODS: dict[str, str] = {"cam": "CAM", "gradcam": "Grad-CAM"}
"""Class activation methods by name, with the title that people know them by."""

CamMethod = Literal["cam", "gradcam"]


class RandomWeights(Record):
    """No pretrained features: the table's Random Init."""

    kind: Literal["random"] = "random"
    backbone: BackboneName = "resnet50"


class CatalogueWeights(Record):
    """Published weights from the catalogue, downloaded and verified."""

    kind: Literal["catalogue"] = "catalogue"
    backbone: BackboneName = "resnet50"
    name: str = Field("in-sup", description="Entry of the weights catalogue, such as in-sup.")


class PretrainedWeights(Record):
    """The backbone of a pretraining run: the input ``checkpoint``."""

    kind: Literal["pretrained"] = "pretrained"


Weights = Annotated[RandomWeights | CatalogueWeights | PretrainedWeights, Field(discriminator="kind")]


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


class EvaluateSpec(Spec):
    """Judge a backbone on a task: grid over learning rate and weight decay, chosen on val."""

    method: str = Field(
        "", max_length=80, description="Name of the row in tables; empty: made from the weights."
    )
    weights: Weights = Field(default_factory=PretrainedWeights)
    task: Task = Field(default_factory=FolderTask)
    protocol: Literal["linear", "fine-tuned"] = Field(
        "linear", description="linear: frozen backbone, batch-norm too. fine-tuned: every weight, end to end."
    )
    augment: bool = Field(
        True,
        description="Random resized crop and flip while training, as the paper does. Off: features are computed "
        "once and kept, which is much faster for the linear protocol and is reported as such.",
    )
    splits: SplitSpec = Field(default_factory=SplitSpec)
    base_lrs: tuple[float, ...] = Field((0.025, 0.0025, 0.00025), min_length=1)
    weight_decays: tuple[float, ...] = Field((0.01, 0.001, 0.0001), min_length=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = Field(0.9, ge=0, lt=1)
    epochs: int = Field(
        100, ge=1, le=10_000, description="The paper's value for UnbiasedEmotion is lost; ours is 100."
    )
    milestones: tuple[int, ...] = Field((60, 80), description="Epochs at which the learning rate decays.")
    gamma: float = Field(0.1, gt=0, le=1)
    batch: int = Field(128, ge=1)
    bias_prior: float = Field(0.01, gt=0, lt=1)
    image_size: int | None = Field(
        None, ge=32, le=1024, description="Side of the crop; null: the backbone's own."
    )
    compute: Compute = Field(default_factory=Compute)

    @field_validator("base_lrs", "weight_decays")
    @classmethod
    def _distinct(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) != len(value) or any(v < 0 for v in value):
            raise ValueError("values must be distinct and not negative")
        return value

    @model_validator(mode="after")
    def _fine_tuning_needs_images(self) -> EvaluateSpec:
        if self.protocol == "fine-tuned" and not self.augment:
            raise ValueError("augment: fine-tuning reads images anew at each step; features cannot be kept")
        return self


class GridPoint(Record):
    """One training of the grid on one split."""

    base_lr: float
    weight_decay: float
    val: float = Field(description="Metric on val, in percent for accuracies.")
    test: float | None = Field(description="Metric on test, in percent for accuracies.")


class SplitResult(Record):
    """One split: every grid point, and the one that val chose."""

    split: int
    chosen: GridPoint
    grid: tuple[GridPoint, ...]
    s_lr: float = Field(
        description="Std (ddof 0) of val over learning rates at the best weight decay (App. C.3)."
    )
    s_wd: float = Field(description="Std (ddof 0) of val over weight decays at the best learning rate.")
    sizes: tuple[int, int, int] = Field(description="Images in train, val, test.")


class EvaluateResult(Result):
    """Artifacts: ``result`` (JSON), ``predictions`` (Parquet, every test image), ``predictor`` (folder)."""

    method: str
    backbone: str
    weights: str = Field(description="random, in-sup, … or pretrained.")
    task: str
    classes: tuple[str, ...]
    protocol: str
    features: Literal["augmented", "cached"]
    metric: str = "accuracy"
    val_mean: float
    val_std: float | None = Field(description="Sample std (ddof 1) over splits; None for a single split.")
    test_mean: float | None
    test_std: float | None
    splits: tuple[SplitResult, ...]

    def headline(self) -> dict[str, float]:
        values = {"val_accuracy": self.val_mean}
        if self.test_mean is not None:
            values["test_accuracy"] = self.test_mean
        return values


class ExplainSpec(Spec):
    """Where a predictor looks: class activation maps over a labelled set, scored where masks exist."""

    method: CamMethod = "cam"
    target: Literal["predicted", "true"] = Field("predicted", description="The class whose map is drawn.")
    limit: int = Field(24, ge=1, le=10_000, description="Images to explain, evenly over classes.")
    strength: float = Field(0.5, ge=0, le=1, description="Opacity of the map over the image.")
    compute: Compute = Field(default_factory=Compute)


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

    def headline(self) -> dict[str, float]:
        return {} if self.pointing is None else {"pointing": self.pointing}


class PredictOptions(Record):
    """What to compute for an uploaded image."""

    method: CamMethod = "cam"
    target_class: str | None = Field(None, description="Class whose map is drawn; null: the most probable.")
    strength: float = Field(0.5, ge=0, le=1, description="Opacity of the map over the image.")
