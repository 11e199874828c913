"""Specs of the downstream protocols (Sec. 4.2, 5.2, App. C.3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .backbones import BackboneName
from .base import Compute, Record, Result, Spec
from .integrity import IntegrityReport
from .tasks import FolderTask, Metric, SplitSpec, Task


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


Setup = Literal["image", "image+text", "image+text-frozen", "text"]
"""Towers used and which of them learn (Sec. 5.2, Fig. 6); a task without text has ``image`` only."""


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
    val: float = Field(description="The task's metric on val, which chooses; in percent for accuracies.")
    test: float | None = Field(description="The task's metric on test, in percent for accuracies.")
    val_secondary: dict[str, float] = Field(
        default_factory=dict, description="Further metrics on val, by name; they choose nothing."
    )
    test_secondary: dict[str, float] = Field(default_factory=dict, description="Further metrics on test.")
    seconds: float | None = Field(
        None,
        description="Wall time of this training, validation included; None where many are trained at once.",
    )
    iteration_seconds: float | None = Field(
        None, description="Mean wall time of one training step, reading the images included."
    )


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


class Secondary(Record):
    """A metric that is reported beside the task's own, at the points that the task's own chose."""

    val_mean: float
    val_std: float | None = Field(description="Sample std (ddof 1) over splits; None for a single split.")
    test_mean: float | None
    test_std: float | None


class EvaluateResult(Result):
    """Artifacts: ``result`` (JSON), ``predictions`` (Parquet, every test image), ``predictor`` (folder)."""

    method: str
    backbone: str
    weights: str = Field(description="random, in-sup, … or pretrained.")
    task: str
    classes: tuple[str, ...]
    protocol: str
    setup: Setup = "image"
    features: Literal["augmented", "cached"]
    metric: Metric = Field("accuracy", description="What chose, and what val_mean and test_mean are.")
    val_mean: float
    val_std: float | None = Field(description="Sample std (ddof 1) over splits; None for a single split.")
    test_mean: float | None
    test_std: float | None
    secondary: dict[str, Secondary] = Field(default_factory=dict, description="Further metrics, by name.")
    splits: tuple[SplitResult, ...]
    integrity: IntegrityReport | None = Field(
        None, description="Checks of the task and its splits that ran with the evaluation."
    )
    batch: int | None = Field(None, description="Images a step.")
    gpus: int = Field(0, description="GPUs used; 0: the CPU.")
    pretrained_on: int | None = Field(
        None, description="Images that the backbone was pretrained on, where known (Fig. 4's axis)."
    )
    weights_licence: str = Field("", description="Of published weights: the licence they come under.")
    weights_trained_on: str = Field("", description="Of published weights: what their authors trained on.")

    def headline(self) -> dict[str, float]:
        values = {f"val_{self.metric}": self.val_mean, f"test_{self.metric}": self.test_mean}
        for name, other in self.secondary.items():
            values |= {f"val_{name}": other.val_mean, f"test_{name}": other.test_mean}
        return {name: value for name, value in values.items() if value is not None}
