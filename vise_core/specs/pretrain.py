"""Spec of pretraining (Sec. 3.3, App. C.1)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from .backbones import BackboneName
from .base import Compute, Record, Result, Spec

Signal = Literal["comments", "reactions"]


class StepDecay(Record):
    """Multiply the learning rate by gamma at each milestone (ImageNet: 0.1 at 30, 60, 90 of 100)."""

    kind: Literal["steps"] = "steps"
    milestones: tuple[float, ...] = Field(
        (0.3, 0.6, 0.9), description="Where to decay, as shares of all iterations."
    )
    gamma: float = Field(0.1, gt=0, le=1)

    @field_validator("milestones")
    @classmethod
    def _rising_shares(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < m < 1 for m in value) or list(value) != sorted(set(value)):
            raise ValueError("milestones must rise and lie between 0 and 1")
        return value


class EvenDecay(Record):
    """Decay a number of times, evenly over training (VisE-250M: x0.5 ten times)."""

    kind: Literal["even"] = "even"
    times: int = Field(10, ge=1, le=1000)
    gamma: float = Field(0.5, gt=0, le=1)


Decay = Annotated[StepDecay | EvenDecay, Field(discriminator="kind")]


class PretrainSpec(Spec):
    """Train a backbone from scratch to predict the pseudo-labels of each image (Eq. 1)."""

    backbone: BackboneName = "resnet50"
    signals: tuple[Signal, ...] = Field(
        ("comments", "reactions"),
        min_length=1,
        description="Which labels to predict; one alone gives VisE-C or VisE-R.",
    )
    comment_targets: Literal["frequency", "unique"] = Field(
        "frequency",
        description="frequency: a cluster hit m of n times carries m/n. unique: each cluster hit carries equal mass.",
    )
    posts_limit: int | None = Field(
        None,
        ge=1,
        description="Use this many posts: a nested random subset, so a smaller one lies within a larger one.",
    )
    epochs: int = Field(100, ge=1, le=10_000)
    batch: int = Field(
        1920, ge=1, description="Global batch, over all processes and accumulation steps (1536 for ResNeXt)."
    )
    accumulate: int = Field(
        1, ge=1, le=1024, description="Split each batch into this many; keeps the global batch."
    )
    base_lr: float = Field(
        0.1, gt=0, description="Learning rate for a batch of 256; the rate used is base_lr/256 x batch."
    )
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    warmup: float = Field(
        0.05, ge=0, lt=1, description="Share of all iterations with a linear warm-up from 0."
    )
    decay: Decay = Field(default_factory=StepDecay)
    bias_prior: float = Field(0.01, gt=0, lt=1, description="Prior of the heads' bias: b = -log((1-p)/p).")
    image_size: int = Field(224, ge=32, le=1024, description="Side of the random resized crop, pixels.")
    min_crop: float = Field(
        0.08, gt=0, le=1, description="Least share of the image's area that a crop keeps."
    )
    checkpoint_seconds: float = Field(
        300, gt=0, description="Save the exact training state at least this often, and at each epoch's end."
    )
    log_every: int = Field(10, ge=1, description="Iterations between two points of the training curves.")
    compute: Compute = Field(default_factory=Compute)

    @field_validator("signals")
    @classmethod
    def _each_signal_once(cls, value: tuple[Signal, ...]) -> tuple[Signal, ...]:
        if len(set(value)) != len(value):
            raise ValueError("signals names one twice")
        return value


class PretrainResult(Result):
    """Artifact: ``checkpoint`` (folder: backbone and heads as safetensors, checkpoint.json)."""

    backbone: str
    posts: int
    iterations: int
    final_loss: float = Field(description="Mean training loss of the last epoch.")
    final_losses: dict[str, float] = Field(description="The same, for each head.")
    images_per_second: float

    def headline(self) -> dict[str, float]:
        return {"loss": self.final_loss, "images_per_second": self.images_per_second}
