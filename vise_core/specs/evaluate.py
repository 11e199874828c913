"""Evaluate: judge a backbone on a downstream task (Sec. 4.2, 5.2, App. C.3)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, TypeAdapter, field_validator, model_validator

from .base import MOST_VALUES, Record, Result, Spec
from .compute import NetworkCompute
from .estimate import (
    FLOAT,
    Cost,
    DiskEstimate,
    InputFacts,
    MemoryEstimate,
    Work,
    memory_of,
    places,
    training_memory,
)
from .evaluation.presets import evaluation_presets
from .evaluation.results import EvaluationData, Secondary, SplitResult, TextTower
from .evaluation.setups import PretrainedWeights, Setup, Weights
from .integrity import IntegrityReport
from .models.backbones import BACKBONES
from .stage import LABELLED_IMAGES, Best, InputRole, Stage
from .tasks.catalogue import has_texts, task_metric
from .tasks.kinds import FolderTask, Task
from .tasks.metrics import Metric
from .tasks.splits import SplitSpec


class MedianStopping(Record):
    """The median rule (Golovin et al. 2017): a training that is behind after one of these epochs ends there.

    A point is behind if its val metric is below the median of the same split's points after as many epochs: of all
    points that are still trained where they train together (linear), of those trained before it where they train in
    turn (fine-tuned). The leading point is never stopped. Points that were stopped are not chosen.
    """

    kind: Literal["median"] = "median"
    epochs: tuple[int, ...] = Field(
        min_length=1,
        max_length=MOST_VALUES,
        description="Finished epochs after which points are compared, ascending.",
    )
    fewest: int = Field(3, ge=2, description="Points to compare with, at least; with fewer none is stopped.")

    @field_validator("epochs")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value[0] < 1 or any(a >= b for a, b in pairwise(value)):
            raise ValueError("epochs count from 1 and ascend")
        return value


class EvaluateSpec(Spec):
    """Evaluate a backbone on a task: train a grid of learning rates and weight decays, choose on val (App. C.3)."""

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
    feature_dtype: Literal["float32", "float16"] = Field(
        "float32",
        description="How the linear protocol keeps an image's features. float16 takes half the disk and rounds to 11 "
        "bits; classifiers are trained in float32 either way.",
    )
    setup: Setup = Field(
        "image",
        description="For a task with texts, which towers there are: image+text (both learn), image+text-frozen (the "
        "paper's main one), image, or text. Under the linear protocol no tower learns.",
    )
    splits: SplitSpec = Field(default_factory=SplitSpec)
    base_lrs: tuple[float, ...] = Field((0.025, 0.0025, 0.00025), min_length=1, max_length=MOST_VALUES)
    weight_decays: tuple[float, ...] = Field((0.01, 0.001, 0.0001), min_length=1, max_length=MOST_VALUES)
    optimizer: Literal["sgd", "adamw"] = Field(
        "sgd", description="The paper: sgd for images alone, adamw for whatever reads texts (App. C.3)."
    )
    momentum: float = Field(0.9, ge=0, lt=1)
    epochs: int = Field(
        100, ge=1, le=10_000, description="The paper's value for UnbiasedEmotion is lost; ours is 100."
    )
    milestones: tuple[int, ...] = Field(
        (60, 80), max_length=MOST_VALUES, description="Epochs at which the learning rate decays."
    )
    gamma: float = Field(0.1, gt=0, le=1)
    early_stopping: MedianStopping | None = Field(
        None,
        description="End points of the grid early that fall behind. Off: every point is trained to the end, as in the paper. "
        "With it S_lr and S_wd are not known where they would need a point that was stopped.",
    )
    batch: int = Field(128, ge=1)
    bias_prior: float = Field(0.01, gt=0, lt=1)
    image_size: int | None = Field(
        None, ge=32, le=1024, description="Side of the crop; null: the backbone's own."
    )
    compute: NetworkCompute = Field(default_factory=NetworkCompute)

    @field_validator("base_lrs", "weight_decays")
    @classmethod
    def _distinct(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) != len(value) or any(v < 0 for v in value):
            raise ValueError("values must be distinct and not negative")
        return value

    @model_validator(mode="after")
    def _stops_before_the_end(self) -> EvaluateSpec:
        if self.early_stopping is not None and self.early_stopping.epochs[-1] >= self.epochs:
            raise ValueError(f"early_stopping.epochs: the last must be before the end, epoch {self.epochs}")
        return self

    @property
    def reads_images(self) -> bool:
        """Whether the setup reads images."""
        return self.setup != "text"

    @property
    def reads_texts(self) -> bool:
        """Whether the setup reads texts."""
        return self.setup != "image"

    @property
    def trains_text(self) -> bool:
        """Whether the text tower is trained; otherwise its embeddings are computed once."""
        return self.protocol == "fine-tuned" and self.setup in ("image+text", "text")

    @model_validator(mode="after")
    def _towers_fit_the_task_and_the_protocol(self) -> EvaluateSpec:
        if self.protocol == "fine-tuned" and self.reads_images and not self.augment:
            raise ValueError("augment: fine-tuning reads images anew at each step; features cannot be kept")
        if self.protocol == "fine-tuned" and self.feature_dtype != "float32":
            raise ValueError("feature_dtype: fine-tuning keeps no features; leave it at float32")
        if not self.reads_texts:
            return self
        if not has_texts(self.task):
            raise ValueError(
                f"setup: {self.setup} needs a task whose images come with texts: hateful_memes, or csv with a "
                f"text_column; not {self.task.kind}"
            )
        if self.protocol == "linear" and self.setup == "image+text":
            raise ValueError(
                "setup: image+text trains both towers and the linear protocol trains none; use image+text-frozen"
            )
        if self.optimizer != "adamw":
            raise ValueError(
                f"optimizer: setup {self.setup} is trained with adamw, as in the paper (App. C.3); sgd is for images "
                "alone"
            )
        return self


class EvaluateResult(Result):
    """Result of ``evaluate``. Artifacts: ``result`` (JSON), ``predictions`` (Parquet), ``predictor`` (folder).

    The predictions are of every test image. A predictor classifies images alone, so only ``setup`` image makes one.
    """

    method: str
    backbone: str = Field(description="none where no image is read.")
    weights: str = Field(description="random, in-sup, …, pretrained, or none where no image is read.")
    task: str
    classes: tuple[str, ...]
    protocol: str
    setup: Setup = "image"
    text_tower: TextTower | None = Field(None, description="None where no text is read.")
    features: Literal["augmented", "cached", "none"] = Field(
        description="Whether the network saw other crops each epoch or kept one; none: it saw no images."
    )
    metric: Metric = Field("accuracy", description="What chose, and what val_mean and test_mean are.")
    val_mean: float
    val_std: float | None = Field(description="Sample std (ddof 1) over splits; None for a single split.")
    test_mean: float | None
    test_std: float | None
    secondary: dict[str, Secondary] = Field(default_factory=dict, description="Further metrics, by name.")
    splits: tuple[SplitResult, ...]
    data: EvaluationData = Field(description="What it was measured on.")
    integrity: IntegrityReport | None = Field(
        None, description="Checks of the task and its splits that ran with the evaluation."
    )
    batch: int = Field(description="Images a step.")
    gpus: int = Field(0, description="GPUs used; 0: the CPU.")
    pretrained_on: int | None = Field(
        None, description="Images that the backbone was pretrained on, where known (Fig. 4's axis)."
    )
    weights_licence: str = Field("", description="Of published weights: the licence they come under.")
    weights_trained_on: str = Field("", description="Of published weights: what their authors trained on.")

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping ended any point of the grids."""
        return any(point.stopped_at_epoch is not None for split in self.splits for point in split.grid)

    @property
    def diverged(self) -> int:
        """Number of trainings that diverged, of all grids."""
        return sum(point.diverged for split in self.splits for point in split.grid)

    def headline(self) -> dict[str, float]:
        values = {f"val_{self.metric}": self.val_mean, f"test_{self.metric}": self.test_mean}
        for name, other in self.secondary.items():
            values |= {f"val_{name}": other.val_mean, f"test_{name}": other.test_mean}
        return {name: value for name, value in values.items() if value is not None}


_TASK: TypeAdapter[Task] = TypeAdapter(Task)


def _needed(spec: EvaluateSpec) -> tuple[str, ...]:
    reads_checkpoint = spec.reads_images and isinstance(spec.weights, PretrainedWeights)
    return ("checkpoint",) if reads_checkpoint else ()


def _missing(spec: Mapping[str, Any]) -> dict[str, str]:
    if spec["setup"] == "image":
        return {}
    reason = f"it reads texts (setup {spec['setup']}), and a predictor classifies images alone"
    return {"predictor": reason}


def _leading(spec: Mapping[str, Any]) -> tuple[str, Best]:
    return f"val_{task_metric(_TASK.validate_python(spec['task']))}", "max"


def _per_split(result: Mapping[str, Any]) -> dict[str, list[float]]:
    """A split's value of a metric is that of its chosen point; splits without one, as without test labels, are left out."""
    values: dict[str, list[float]] = {}
    for split in result.get("splits", ()):
        point = split["chosen"]
        for part in ("val", "test"):
            for name, value in ({result["metric"]: point[part]} | point.get(f"{part}_secondary", {})).items():
                if value is not None:
                    values.setdefault(f"{part}_{name}", []).append(float(value))
    return values


def _backbone(spec: EvaluateSpec, facts: InputFacts) -> str | None:
    """The backbone that is judged; None where it is not known, or no image is read."""
    if not spec.reads_images:
        return None
    return facts.backbone if isinstance(spec.weights, PretrainedWeights) else spec.weights.backbone


def _work(spec: EvaluateSpec, facts: InputFacts) -> Work | None:
    backbone = _backbone(spec, facts)
    if facts.items is None or (backbone is None and spec.reads_images):
        return None
    kind = (backbone, spec.setup, spec.protocol, spec.augment, spec.image_size)
    if spec.protocol == "linear" and not spec.augment:
        return Work(facts.items, f"{facts.items:,} images, features computed once", kind)
    # Linear: every split and point of the grid goes through the epochs together.
    points = len(spec.base_lrs) * len(spec.weight_decays)
    trainings = 1 if spec.protocol == "linear" else spec.splits.count * points
    amount = facts.items * spec.epochs * trainings
    times = f" × {trainings} trainings" if trainings > 1 else ""
    return Work(amount, f"{facts.items:,} images × {spec.epochs} epochs{times}", kind)


def _memory(spec: EvaluateSpec, facts: InputFacts) -> tuple[MemoryEstimate, ...]:
    backbone = _backbone(spec, facts)
    if backbone is None:
        return ()
    size = spec.image_size or BACKBONES[backbone].image_size
    tuned = spec.protocol == "fine-tuned"
    copies = (3 if spec.optimizer == "sgd" else 4) if tuned else 1
    return tuple(
        # Frozen, no map outlives its layer: fewer than training keeps.
        memory_of(
            where,
            training_memory(backbone, size, spec.batch, half=half, copies=copies),
            at_most=not tuned,
        )
        for where, half in places(spec.compute.device, spec.compute.amp)
    )


def _disk(spec: EvaluateSpec, facts: InputFacts) -> DiskEstimate | None:
    backbone = _backbone(spec, facts)
    if backbone is None:
        return None
    kept = FLOAT * BACKBONES[backbone].parameters
    return DiskEstimate(kept=kept, working=2 * kept if spec.protocol == "fine-tuned" else 0)


def _done(result: Mapping[str, Any]) -> int | None:
    """Images of a past run's data set."""
    splits = result.get("splits") or ()
    return sum(splits[0]["sizes"]) if splits else None


STAGE = Stage(
    name="evaluate",
    title="Evaluate",
    help="Evaluate a backbone on a downstream task.",
    runner="vise_core.evaluate.stage:run",
    spec=EvaluateSpec,
    result=EvaluateResult,
    queue="gpu",
    inputs={
        "dataset": LABELLED_IMAGES,
        "checkpoint": InputRole(
            help="Made by pretrain; needed when weights.kind is pretrained.",
            artifact="checkpoint",
            required=False,
        ),
        "text_encoder": InputRole(
            help="For setups that read texts: a folder with a sentence encoder as transformers saves it, such as "
            "RoBERTa-base. Without: the packaged all-MiniLM-L6-v2.",
            artifact="text_encoder",
            required=False,
        ),
    },
    outputs={
        "result": "The full result.",
        "predictions": "Scores of every test image.",
        "predictor": "A classifier for new images; only from evaluations that read images alone.",
    },
    speed_only=("compute.loader_workers",),
    names=("method", "task.name"),
    replicates=("seed", "splits.seed"),
    # Split i is the same however many there are, so their number makes no other experiment.
    repeats=("splits.count",),
    measures=True,
    presets=evaluation_presets(),
    cost=Cost(work=_work, done=_done, memory=_memory, disk=_disk),
    needed=_needed,
    missing=_missing,
    leading=_leading,
    per_split=_per_split,
)
