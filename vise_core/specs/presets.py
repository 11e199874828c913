"""The paper's settings by name."""

from __future__ import annotations

from typing import Any

from .evaluation.presets import _evaluations

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "ingest": {"Sample data (synthetic)": {"source": {"kind": "sample"}}},
    "cluster": {
        "Paper: 5000 comment and 128 reaction clusters": {},
        "Sentence embeddings in place of TF-IDF": {"comments": {"extractor": {"kind": "sentence"}}},
    },
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
