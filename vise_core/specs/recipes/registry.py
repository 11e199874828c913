"""The recipes that ship with the product, by name. Adding one is an entry here."""

from __future__ import annotations

from typing import Any

from .ablations import ABLATIONS
from .recipe import RecipeSpec

SAMPLE_TASK = "Sample emotion (synthetic)"


def _sample_evaluation(method: str, weights: dict[str, Any], **changes: Any) -> dict[str, Any]:
    spec = {
        "method": method,
        "weights": weights,
        "task": {"kind": "folder", "name": SAMPLE_TASK},
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
                    "spec": {"source": {"kind": "sample", "posts": 2400, "evaluation_images": 600}},
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
                "explore": {
                    "stage": "explore",
                    "title": "Explore clusters",
                    "inputs": {
                        "posts": posts,
                        "clusterer": {"step": "cluster", "artifact": "clusterer"},
                        "labels": {"step": "label", "artifact": "labels"},
                    },
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
                        "epochs": 5,
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
                "compare": {
                    "stage": "qualitative",
                    "title": "Compare predictions",
                    "spec": {"task": {"kind": "folder", "name": SAMPLE_TASK}},
                    "inputs": {
                        **images,
                        "predictor": {"step": "random", "artifact": "predictor"},
                        "predictor_2": {"step": "imagenet", "artifact": "predictor"},
                        "predictor_3": {"step": "vise", "artifact": "predictor"},
                    },
                },
            },
            "register_best": {"among": ["random", "imagenet", "vise"], "name": "sample emotion"},
        }
    )


RECIPES: dict[str, RecipeSpec] = {
    "sample": _sample_recipe(),
    **{f"ablation-{name}": make(False) for name, make in ABLATIONS.items()},
    **{f"sample-{name}": make(True) for name, make in ABLATIONS.items()},
}
"""Recipes by name: the quick one on sample data, the paper's on data that is given, and those tiny as samples."""
