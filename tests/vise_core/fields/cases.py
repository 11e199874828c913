"""Runs in which a stage must read the fields that they set to other values than their defaults."""

from dataclasses import dataclass, field
from typing import Any

SAMPLE = {"kind": "sample", "posts": 60, "evaluation_images": 60, "image_size": 32}
SPLITS = {"count": 2, "train": 0.6, "val": 0.2, "seed": 1, "stratify": False}
NETWORK = {"device": "cpu", "amp": "bf16", "channels_last": False, "loader_workers": 1}
CLUSTER = {
    "subset": {"cluster_fraction": 0.4, "seed": 1},
    "comments": {
        "max_comments": 3,
        "extractor": {
            "max_features": 50,
            "min_df": 1,
            "lowercase": False,
            "sublinear_tf": True,
        },
        "kmeans": {"algorithm": "minibatch", "k": 6, "max_iter": 3, "tol": 0.01},
    },
    "reactions": {"kmeans": {"k": 3}},
}
EVALUATE = {
    "method": "Mine",
    "weights": {"kind": "random", "backbone": "resnet18"},
    "augment": False,
    "feature_dtype": "float16",
    "splits": SPLITS,
    "base_lrs": [0.1, 0.01, 0.001],
    "weight_decays": [0.001],
    "momentum": 0.5,
    "epochs": 2,
    "milestones": [1],
    "gamma": 0.5,
    "early_stopping": {"epochs": [1], "fewest": 2},
    "batch": 8,
    "bias_prior": 0.1,
    "image_size": 32,
    "compute": NETWORK,
}
FIELDS = {
    "map": "graph_api",
    "id": "key",
    "image": "file",
    "comments": "said",
    "text": "words",
    "replies": "answers",
    "reactions": "counts",
    "names": {"smile": "haha"},
}
CSV = {
    "manifest": "mine.csv",
    "delimiter": ";",
    "encoding": "cp1252",
    "header": False,
    "images": "img",
    "path_column": "1",
    "label_column": "2",
    "split_column": "3",
    "text_column": "4",
    "metric": "roc_auc",
}
COUNTS = {name: name for name in ("haha", "sorry", "angry", "wow", "love")}


@dataclass(frozen=True)
class Case:
    """A run of a stage.

    Attributes
    ----------
    inputs: role → name of what ``material`` made.
    fails: a run whose data does not fit the spec: it is rejected after the fields were read.
    shared: a run for the fields of sources and tasks, which several stages read by the same code.
    """

    stage: str
    spec: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    fails: bool = False
    shared: bool = False


def ingest(kind: str, **source: Any) -> Case:
    return Case("ingest", {"source": {"kind": kind, **source}}, {"source": kind}, shared=True)


def task(kind: str, name: str | None = None, **fields: Any) -> Case:
    spec = {"task": {"kind": kind, "name": "Mine", **fields}, "perceptual": False, "splits": SPLITS}
    return Case("integrity", spec, {"dataset": name or kind}, shared=True)


CASES = [
    Case(
        "fetch",
        {
            "kind": "posts",
            "url": "https://example.org/a.zip",
            "sha256": "ab" * 32,
            "download_bytes": 10**6,
            "limits": {"bytes": 10**7, "files": 900, "ratio": 90},
            "samples": 2,
        },
    ),
    Case("survey", {"samples": 2, "decode": False}, {"dataset": "folder"}),
    Case("survey", {"kind": "posts", "source": {"kind": "jsonl"}}, {"dataset": "jsonl"}),
    Case("sample_tasks", {"kinds": ["cub"], "images": 56, "image_size": 32}),
    Case(
        "ingest",
        {
            "source": SAMPLE,
            "posts_per_shard": 40,
            "max_image_pixels": 10**6,
            "max_image_side": 64,
            "max_comments": 3,
            "max_comment_characters": 50,
        },
    ),
    # The other processes read the fields of a post's bounds, where no test sees it.
    Case("ingest", {"source": SAMPLE, "compute": {"processes": 2, "engine": "local"}}),
    ingest("jsonl", posts="mine.jsonl", images="pictures", encoding="utf-8", fields=FIELDS),
    ingest(
        "json", posts="mine.json", images="pictures", encoding="utf-8", list="all", fields=FIELDS | COUNTS
    ),
    ingest(
        "csv",
        posts="mine.csv",
        images="pictures",
        encoding="utf-8",
        delimiter=";",
        fields=FIELDS | COUNTS | {"map": "plain"},
    ),
    ingest("parquet", posts="mine.parquet", images="pictures", fields=FIELDS),
    ingest("webdataset", image="jpg", fields={"map": "reddit"}),
    ingest("pictures", fields={"map": "reddit"}),
    Case(
        "cluster",
        CLUSTER | {"seed": 1, "compute": {"device": "cpu", "processes": 2, "engine": "local"}},
        {"posts": "posts"},
    ),
    Case(
        "cluster",
        {
            "subset": {"cluster_fraction": 0.4},
            "comments": {
                "extractor": {
                    "kind": "sentence",
                    "max_tokens": 16,
                    "emoji_names": False,
                },
                "kmeans": {"k": 3},
            },
            "reactions": None,
        },
        {"posts": "posts"},
    ),
    Case(
        "cluster",
        {
            "subset": {"cluster_fraction": 0.4},
            "comments": None,
            "reactions": {"kmeans": {"algorithm": "spherical", "k": 3, "max_iter": 4, "tol": 0.1}},
        },
        {"posts": "posts"},
    ),
    Case(
        "label",
        {
            "shuffle_engagement": True,
            "compute": {"device": "cpu", "processes": 2, "engine": "local"},
        },
        {"posts": "posts", "clusterer": "clusterer"},
    ),
    Case(
        "explore",
        {"terms": 3, "comments": 2, "images": 1, "thumbnail": 32, "pairs": 5},
        {"posts": "posts", "clusterer": "clusterer", "labels": "labels"},
    ),
    Case(
        "pretrain",
        {
            "backbone": "resnet18",
            "signals": ["comments"],
            "comment_targets": "unique",
            "posts_limit": 16,
            "epochs": 1,
            "batch": 8,
            "accumulate": 2,
            "base_lr": 0.01,
            "momentum": 0.5,
            "weight_decay": 0.01,
            "warmup": 0.5,
            "decay": {"kind": "steps", "milestones": [0.5], "gamma": 0.5},
            "bias_prior": 0.1,
            "image_size": 32,
            "min_crop": 0.5,
            "checkpoint_seconds": 1,
            "log_every": 1,
            "compute": NETWORK | {"processes": 2},
        },
        {"posts": "posts", "labels": "labels"},
    ),
    Case(
        "pretrain",
        {
            "backbone": "resnet18",
            "objective": "moco-v2",
            "epochs": 1,
            "batch": 8,
            "warmup": 0,
            "image_size": 32,
            "moco": {"queue": 16, "momentum": 0.5, "temperature": 0.5, "dim": 8, "min_crop": 0.5},
            "decay": {"kind": "cosine", "every": "iteration"},
            "compute": {"compile": True},
        },
        {"posts": "posts"},
    ),
    Case(
        "pretrain",
        {
            "backbone": "resnet18",
            "epochs": 1,
            "batch": 16,
            "warmup": 0,
            "image_size": 32,
            "decay": {"kind": "even", "times": 2, "gamma": 0.2},
        },
        {"posts": "posts", "labels": "labels"},
    ),
    Case(
        "import",
        {
            "format": "torchvision",
            "file": "b.pth",
            "row": "Mine",
            "network": "teacher",
            "sha256": "ab" * 32,
        },
        {"file": "weights"},
        fails=True,
    ),
    Case(
        "evaluate",
        EVALUATE,
        {"dataset": "folder"},
    ),
    Case(
        "evaluate",
        EVALUATE
        | {
            "protocol": "fine-tuned",
            "augment": True,
            "feature_dtype": "float32",
            "task": {"kind": "folder", "metric": "top1"},
        },
        {"dataset": "folder"},
    ),
    Case(
        "evaluate",
        EVALUATE
        | {
            "setup": "text",
            "optimizer": "adamw",
            "base_lrs": [0.1],
            "early_stopping": None,
            "task": {"kind": "csv", **CSV},
        },
        {"dataset": "csv_task"},
    ),
    Case(
        "evaluate",
        EVALUATE
        | {
            "weights": {"kind": "catalogue", "backbone": "resnet101", "name": "moco-v2"},
        },
        {"dataset": "folder"},
        fails=True,
    ),
    Case(
        "integrity",
        {
            "perceptual": False,
            "splits": SPLITS,
            "subset": {"cluster_fraction": 0.3, "seed": 2},
            "limits": {"overlap": 0.2, "imbalance": 3, "shift": 0.2, "largest_cluster": 0.3},
            "examples": 2,
            "compute": {"processes": 2, "engine": "local"},
        },
        {"dataset": "copies", "posts": "posts", "labels": "labels", "clusterer": "clusterer"},
    ),
    Case("ingest", {"source": SAMPLE}, shared=True),
    task("folder", "two_classes"),
    task("csv", "csv_task", **CSV),
    task("unbiased_emotion"),
    task("politics", manifest="manifest.csv"),
    task("hateful_memes", train="dev", val="test_seen", test="dev_seen"),
    task("cub"),
    task("imagenet"),
    Case(
        "explain",
        {
            "method": "gradcam",
            "target": "true",
            "limit": 1,
            "strength": 0.3,
            "faithfulness": True,
            "faithfulness_steps": 2,
            "deletion_baseline": "blur",
            "compute": {"device": "cpu"},
        },
        {"predictor": "predictor", "dataset": "folder"},
    ),
    Case(
        "qualitative",
        {
            "method": "gradcam",
            "target": "true",
            "limit": 2,
            "strength": 0.3,
            "unseen_only": False,
            "compute": {"device": "cpu"},
        },
        {"dataset": "folder", "predictor": "predictor", "predictor_2": "predictor"},
    ),
]
