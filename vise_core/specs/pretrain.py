"""Pretrain: train a backbone on pseudo-labels, or with MoCo-v2 (Sec. 3.3, App. B, C.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from .base import MOST_VALUES, Record, Result, Spec
from .compute import PretrainCompute
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
from .models.backbones import BACKBONES, BackboneName
from .stage import EXCLUDE, POSTS, InputRole, Stage

Signal = Literal["comments", "reactions"]
ObjectiveName = Literal["vise", "moco-v2"]


class StepDecay(Record):
    """Learning rate multiplied by gamma at each milestone (ImageNet: 0.1 at epochs 30, 60 and 90 of 100)."""

    kind: Literal["steps"] = "steps"
    milestones: tuple[float, ...] = Field(
        (0.3, 0.6, 0.9), max_length=MOST_VALUES, description="Where to decay, as shares of all iterations."
    )
    gamma: float = Field(0.1, gt=0, le=1)

    @field_validator("milestones")
    @classmethod
    def _rising_shares(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < m < 1 for m in value) or list(value) != sorted(set(value)):
            raise ValueError("milestones must rise and lie between 0 and 1")
        return value


class EvenDecay(Record):
    """Learning rate multiplied by gamma a number of times, evenly over training (VisE-250M: ten times by 0.5)."""

    kind: Literal["even"] = "even"
    times: int = Field(10, ge=1, le=1000)
    gamma: float = Field(0.5, gt=0, le=1)


class CosineDecay(Record):
    """Learning rate that falls along half a cosine, from the full rate after the warm-up to 0 at the end (MoCo-v2)."""

    kind: Literal["cosine"] = "cosine"
    every: Literal["epoch", "iteration"] = Field(
        "epoch", description="When the rate changes; MoCo-v2's authors change it once an epoch."
    )


Decay = Annotated[StepDecay | EvenDecay | CosineDecay, Field(discriminator="kind")]


class MocoSettings(Record):
    """Parameters of MoCo-v2. The paper (App. B) states the queue only; other defaults are MoCo-v2's own."""

    queue: int = Field(
        65_536, ge=1, le=2**22, description="Keys of earlier batches that each query is contrasted with."
    )
    momentum: float = Field(
        0.999, ge=0, lt=1, description="Share of the key encoder that each iteration keeps."
    )
    temperature: float = Field(0.2, gt=0, le=10, description="Temperature that similarities are divided by.")
    dim: int = Field(
        128, ge=1, le=8192, description="Length of queries and keys; the hidden layer has the backbone's."
    )
    min_crop: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Least share of the image's area that a view keeps, in place of min_crop.",
    )


class PretrainSpec(Spec):
    """Train a backbone from scratch, on the pseudo-labels of each image (Eq. 1) or on the images alone."""

    backbone: BackboneName = "resnet50"
    objective: ObjectiveName = Field(
        "vise",
        description="vise: predict the pseudo-labels. moco-v2: contrastive learning, without labels (Table 5); "
        "its preset has the learning rate and schedule that go with it.",
    )
    signals: tuple[Signal, ...] = Field(
        ("comments", "reactions"),
        min_length=1,
        max_length=2,
        description="Which labels to predict; one alone gives VisE-C or VisE-R. "
        "MoCo-v2 takes the posts that have one of them.",
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
    moco: MocoSettings = Field(default_factory=MocoSettings)
    checkpoint_seconds: float = Field(
        300, gt=0, description="Save the exact training state at least this often, and at each epoch's end."
    )
    log_every: int = Field(10, ge=1, description="Iterations between two points of the training curves.")
    compute: PretrainCompute = Field(default_factory=PretrainCompute)

    @field_validator("signals")
    @classmethod
    def _each_signal_once(cls, value: tuple[Signal, ...]) -> tuple[Signal, ...]:
        if len(set(value)) != len(value):
            raise ValueError("signals names one twice")
        return value

    @model_validator(mode="after")
    def _moco_takes_whole_batches(self) -> Self:
        if self.objective != "moco-v2":
            return self
        if self.accumulate != 1:
            raise ValueError(
                "accumulate must be 1 for moco-v2: the queue advances by whole batches; "
                "use a smaller batch, or more processes"
            )
        if self.moco.queue % self.batch:
            raise ValueError(
                f"moco.queue must be a multiple of the batch: {self.moco.queue} is none of {self.batch}; "
                "MoCo-v2's own batch is 256"
            )
        return self


class PretrainResult(Result):
    """Result of ``pretrain``. Artifact: ``checkpoint`` (backbone and heads as safetensors, checkpoint.json)."""

    backbone: str
    posts: int
    iterations: int
    final_loss: float = Field(description="Mean training loss of the last epoch.")
    final_losses: dict[str, float] = Field(description="The same, for each head.")
    final_measures: dict[str, float] = Field(
        default_factory=dict, description="What is measured beside the loss, the same way."
    )
    images_per_second: float
    excluded: int = Field(0, description="Posts left out because the input exclude names them.")
    exclude_unmatched: int = Field(0, description="Ids of the input exclude that match no post.")

    def headline(self) -> dict[str, float]:
        excluded = {"excluded": self.excluded} if self.excluded or self.exclude_unmatched else {}
        return {
            "loss": self.final_loss,
            **self.final_measures,
            "images_per_second": self.images_per_second,
            **excluded,
        }


PRESETS: dict[str, dict[str, Any]] = {
    # App. C.1: batch 1920 (ResNet) and 1536 (ResNeXt); ImageNet steps for 1.23M posts.
    "VisE-1.2M, ResNet-50": {"posts_limit": 1_230_000},
    "VisE-1.2M-C (comments only), ResNet-50": {"posts_limit": 1_230_000, "signals": ["comments"]},
    "VisE-R (reactions only), ResNet-50": {"posts_limit": 1_230_000, "signals": ["reactions"]},
    "VisE-1.2M, ResNet-101": {"posts_limit": 1_230_000, "backbone": "resnet101"},
    "VisE-1.2M, ResNeXt-101 32x16d": {
        "posts_limit": 1_230_000,
        "backbone": "resnext101_32x16d",
        "batch": 1536,
    },
    # App. C.1: the rate is halved ten times over about 10 epochs.
    "VisE-250M, ResNet-50": {
        "posts_limit": 250_000_000,
        "epochs": 10,
        "decay": {"kind": "even", "times": 10, "gamma": 0.5},
    },
    "VisE-250M, ResNeXt-101 32x16d": {
        "posts_limit": 250_000_000,
        "backbone": "resnext101_32x16d",
        "batch": 1536,
        "epochs": 10,
        "decay": {"kind": "even", "times": 10, "gamma": 0.5},
    },
    "VisE-123k, ResNet-50": {"posts_limit": 123_000},
    "VisE-308k, ResNet-50": {"posts_limit": 308_000},
    "VisE-615k, ResNet-50": {"posts_limit": 615_000},
    # App. B, Table 5: the same 1.23M images and ResNet-50; of the rest the paper says nothing. Batch, rate,
    # epochs and cosine without warm-up are those of MoCo-v2's own code, which shares a batch over 8 GPUs.
    "MoCo-v2 on the same images, ResNet-50": {
        "objective": "moco-v2",
        "posts_limit": 1_230_000,
        "epochs": 200,
        "batch": 256,
        "base_lr": 0.03,
        "warmup": 0,
        "decay": {"kind": "cosine", "every": "epoch"},
    },
}


def _needed(spec: PretrainSpec) -> tuple[str, ...]:
    return ("labels",) if spec.objective == "vise" else ()


def _used(spec: PretrainSpec, posts: int) -> int:
    return posts if spec.posts_limit is None else min(posts, spec.posts_limit)


def _work(spec: PretrainSpec, facts: InputFacts) -> Work | None:
    if facts.items is None:
        return None
    kind = (spec.backbone, spec.objective, spec.image_size, spec.compute.processes, spec.compute.amp)
    return Work(facts.items * spec.epochs, f"{facts.items:,} posts × {spec.epochs} epochs", kind)


def _memory(spec: PretrainSpec, facts: InputFacts) -> tuple[MemoryEstimate, ...]:
    images = -(-spec.batch // (spec.accumulate * spec.compute.processes))
    moco = spec.objective == "moco-v2"
    # MoCo-v2's key encoder is one more copy of the weights.
    copies, heads = (4, 0) if moco else (3, facts.classes or 0)
    queue = {"queue of keys": FLOAT * spec.moco.queue * spec.moco.dim} if moco else {}
    return tuple(
        memory_of(
            where,
            training_memory(spec.backbone, spec.image_size, images, half=half, copies=copies, heads=heads)
            | queue,
        )
        for where, half in places(spec.compute.device, spec.compute.amp)
    )


def _disk(spec: PretrainSpec, facts: InputFacts) -> DiskEstimate:
    entry = BACKBONES[spec.backbone]
    moco = spec.objective == "moco-v2"
    heads = 0 if moco else (facts.classes or 0) * (entry.feature_dim + 1)
    kept = FLOAT * (entry.parameters + heads)
    queue = FLOAT * spec.moco.queue * spec.moco.dim if moco else 0
    # Weights and momentum, the key encoder for MoCo-v2; a new state is written before the old one is removed.
    return DiskEstimate(kept=kept, working=2 * ((3 if moco else 2) * kept + queue))


def _facts(artifact: str, spec: Mapping[str, Any], result: Mapping[str, Any]) -> InputFacts:
    return InputFacts(backbone=result.get("backbone") or spec["backbone"])


STAGE = Stage(
    name="pretrain",
    title="Pretrain",
    help="Train a backbone to predict the pseudo-labels.",
    runner="vise_core.pretrain.stage:run",
    spec=PretrainSpec,
    result=PretrainResult,
    queue="gpu",
    inputs={
        "posts": POSTS,
        "labels": InputRole(
            help="Made by label; MoCo-v2 needs none, and with them takes the same posts as VisE.",
            artifact="labels",
            required=False,
        ),
        "exclude": EXCLUDE,
    },
    outputs={"checkpoint": "Backbone and heads."},
    # Not compute.processes: batch statistics are those of each process's own images.
    speed_only=("compute.loader_workers", "checkpoint_seconds"),
    measures=True,
    presets=PRESETS,
    cost=Cost(work=_work, used=_used, done=lambda result: result.get("posts"), memory=_memory, disk=_disk),
    needed=_needed,
    facts=_facts,
)
