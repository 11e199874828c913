"""Kinds of ablation: the one factor that each changes, in which stage, and the values that the paper has."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..base import Record
from .ablations import CLUSTERS, SAMPLE_CLUSTERS, SAMPLE_SIZES, SIZES

Kind = Literal["data-size", "pretext", "backbone", "clusters", "extractor", "multimodal"]
Changes = dict[str, Any]
"""Dotted path in the stage's spec → value."""


class AblationKind(Record):
    """A factor that an ablation can vary.

    ``paths``: its fields in the stage's spec; the first gives a point its position and label.
    """

    title: str
    help: str
    stage: str
    paths: tuple[str, ...]
    axis: str
    log: bool = Field(False, description="Numbers on a logarithmic axis; else one place a value.")
    values: tuple[Changes, ...] = Field(description="The paper's, or ours where it has none.")
    sample_values: tuple[Changes, ...] = Field((), description="For a baseline on sample data.")
    methods: dict[str, str] = Field(
        default_factory=dict, description="Label of a point → the paper's name of it in tables."
    )


def _each(path: str, *values: Any) -> tuple[Changes, ...]:
    return tuple({path: value} for value in values)


def _towers(setup: str, protocol: str, optimizer: str) -> Changes:
    """Whatever reads texts is trained with AdamW (App. C.3)."""
    return {"setup": setup, "protocol": protocol, "optimizer": optimizer, "augment": True}


ABLATION_KINDS: dict[Kind, AblationKind] = {
    "data-size": AblationKind(
        title="Data size",
        help="Nested random subsets of the same posts (Fig. 4).",
        stage="pretrain",
        paths=("posts_limit",),
        axis="posts pretrained on",
        log=True,
        values=_each("posts_limit", *SIZES.values()),
        sample_values=_each("posts_limit", *SAMPLE_SIZES.values()),
        methods={f"{size:,}": method for method, size in SIZES.items()},
    ),
    "pretext": AblationKind(
        title="Pretext task",
        help="Comments, reactions, or both (Table 3).",
        stage="pretrain",
        paths=("signals",),
        axis="engagement signals",
        values=_each("signals", ["comments", "reactions"], ["comments"], ["reactions"]),
        methods={
            "comments + reactions": "VisE-1.2M",
            "comments": "VisE-1.2M-C",
            "reactions": "VisE-R",
        },
    ),
    "backbone": AblationKind(
        title="Backbone",
        help="The same pretraining with other networks (Fig. 5).",
        stage="pretrain",
        paths=("backbone",),
        axis="backbone",
        values=_each("backbone", "resnet50", "resnet101", "resnext101_32x16d"),
        sample_values=_each("backbone", "resnet18", "resnet34"),
    ),
    "clusters": AblationKind(
        title="Number of comment clusters",
        help="Fewer and more than the paper's 5000 (ours).",
        stage="cluster",
        paths=("comments.kmeans.k",),
        axis="comment clusters",
        log=True,
        values=_each("comments.kmeans.k", *CLUSTERS),
        sample_values=_each("comments.kmeans.k", *SAMPLE_CLUSTERS),
    ),
    "extractor": AblationKind(
        title="Comment features",
        help="How comments become vectors before they are clustered: TF-IDF against sentence embeddings (ours).",
        stage="cluster",
        paths=("comments.extractor",),
        axis="comment features",
        values=_each("comments.extractor", {"kind": "tfidf"}, {"kind": "sentence"}),
    ),
    "multimodal": AblationKind(
        title="Multimodal setup",
        help="Which towers there are and which of them learn, for a task with texts (Fig. 6).",
        stage="evaluate",
        paths=("setup", "protocol"),
        axis="setup",
        values=(
            _towers("image+text", "fine-tuned", "adamw"),
            _towers("image+text-frozen", "fine-tuned", "adamw"),
            _towers("image", "fine-tuned", "sgd"),
            _towers("image", "linear", "sgd"),
        ),
    ),
}


def point_label(kind: AblationKind, values: Changes) -> str:
    """Return the label of a point. ``values`` are those at the kind's paths."""
    return ", ".join(_words(values[path]) for path in kind.paths if path in values) or "as the baseline"


def point_position(kind: AblationKind, values: Changes) -> float | None:
    """Return the position of a point on a logarithmic axis; None if its value is a name."""
    value = values.get(kind.paths[0])
    return float(value) if kind.log and isinstance(value, int | float) and value > 0 else None


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " + ".join(map(str, value))
    if isinstance(value, dict):
        return str(value.get("kind") or ", ".join(f"{name} {_words(part)}" for name, part in value.items()))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
