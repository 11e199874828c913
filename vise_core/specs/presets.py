"""The paper's settings by name, and the recipes that ship with the product."""

from __future__ import annotations

from typing import Any

from .backbones import BACKBONES
from .recipes import RecipeSpec
from .tasks import TASKS


def evaluation(kind: str, protocol: str, backbone: str) -> dict[str, Any]:
    """The paper's evaluation of a task: its splits and its schedule, batch for the backbone (App. C.3).

    Raises KeyError for a backbone that the paper did not judge on this task.
    """
    schedule = TASKS[kind].schedule
    return {
        "task": {"kind": kind},
        "protocol": protocol,
        "splits": {"count": TASKS[kind].random_splits},
        "epochs": schedule.epochs,
        "milestones": list(schedule.milestones),
        "gamma": schedule.gamma,
        "batch": schedule.batch[backbone],
    }


def _evaluations() -> dict[str, dict[str, Any]]:
    """Every task × protocol × backbone; the first backbone of a task, ResNet-50 where it has one, goes unnamed."""
    presets = {}
    for kind, task in TASKS.items():
        # Tables 15, 16: memes without their sentences.
        title = f"{task.title}, image only" if task.text else task.title
        for protocol in task.protocols:
            for number, backbone in enumerate(task.schedule.batch):
                name = f"{title}, {protocol}" + (f", {BACKBONES[backbone].title}" if number else "")
                presets[name] = evaluation(kind, protocol, backbone)
    fast = evaluation("unbiased_emotion", "linear", "resnet50") | {"augment": False}
    return presets | {"UnbiasedEmotion, linear, features kept (fast)": fast}


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "ingest": {"Sample data (synthetic)": {"source": {"kind": "sample"}}},
    "cluster": {"Paper: 5000 comment and 128 reaction clusters": {}},
    "label": {"Paper": {}, "Control: shuffled engagement": {"shuffle_engagement": True}},
    "pretrain": {
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
    },
    "evaluate": _evaluations(),
    "explain": {"CAM of the predicted class": {}},
}
"""Stage → preset's name → what differs from the spec's defaults."""


def _sample_evaluation(method: str, weights: dict[str, Any], **changes: Any) -> dict[str, Any]:
    spec = {
        "method": method,
        "weights": weights,
        "task": {"kind": "folder", "name": "Sample emotion (synthetic)"},
        "augment": False,
        "image_size": 64,
    }
    return spec | changes


def _sample_recipe() -> RecipeSpec:
    posts = {"step": "posts", "artifact": "posts"}
    images = {"dataset": {"step": "posts", "artifact": "evaluation_set"}}
    return RecipeSpec.model_validate(
        {
            "title": "Try it with sample data",
            "description": "Generates synthetic posts, clusters their engagement, pretrains a small backbone on "
            "the pseudo-labels and compares it with random and ImageNet features on six emotions.",
            "synthetic": True,
            "steps": {
                "posts": {
                    "stage": "ingest",
                    "title": "Generate sample posts",
                    "spec": {"source": {"kind": "sample", "posts": 6000, "evaluation_images": 600}},
                },
                "cluster": {
                    "stage": "cluster",
                    "title": "Cluster engagement",
                    "spec": {
                        "subset": {"cluster_fraction": 0.15},
                        "comments": {"kmeans": {"k": 64}},
                        "reactions": {"kmeans": {"k": 16}},
                    },
                    "inputs": {"posts": posts},
                },
                "label": {
                    "stage": "label",
                    "title": "Create pseudo-labels",
                    "inputs": {"posts": posts, "clusterer": {"step": "cluster", "artifact": "clusterer"}},
                },
                "random": {
                    "stage": "evaluate",
                    "title": "Evaluate Random Init",
                    "spec": _sample_evaluation("Random Init", {"kind": "random", "backbone": "resnet18"}),
                    "inputs": images,
                },
                "imagenet": {
                    "stage": "evaluate",
                    "title": "Evaluate IN-Sup",
                    "spec": _sample_evaluation(
                        "IN-Sup",
                        {"kind": "catalogue", "backbone": "efficientnet_lite0", "name": "in-sup"},
                        image_size=128,
                    ),
                    "inputs": images,
                },
                "pretrain": {
                    "stage": "pretrain",
                    "title": "Pretrain VisE",
                    "spec": {
                        "backbone": "resnet18",
                        "epochs": 8,
                        "batch": 64,
                        "image_size": 48,
                        "min_crop": 0.35,
                        "log_every": 5,
                        "checkpoint_seconds": 20,
                    },
                    "inputs": {"posts": posts, "labels": {"step": "label", "artifact": "labels"}},
                },
                "vise": {
                    "stage": "evaluate",
                    "title": "Evaluate VisE",
                    "spec": _sample_evaluation("VisE", {"kind": "pretrained"}),
                    "inputs": {**images, "checkpoint": {"step": "pretrain", "artifact": "checkpoint"}},
                },
            },
            "register_best": {"among": ["random", "imagenet", "vise"], "name": "sample emotion"},
        }
    )


RECIPES: dict[str, RecipeSpec] = {"sample": _sample_recipe()}
"""Recipes by name. Adding one is an entry here."""
