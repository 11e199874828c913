"""The paper's settings by name."""

from __future__ import annotations

from typing import Any

from .backbones import BACKBONES
from .evaluate import SETUPS, Setup
from .tasks import TASKS

MULTIMODAL: tuple[tuple[Setup, str], ...] = (
    ("image+text-frozen", "fine-tuned"),  # the main one: Sec. 4.3, Tables 7, 12; Fig. 6b
    ("image+text-frozen", "linear"),  # Tables 6, 12
    ("image+text", "fine-tuned"),  # Table 14, Fig. 6a
    ("image", "fine-tuned"),  # Table 15, Fig. 6c
    ("image", "linear"),  # Table 16, Fig. 6d
    ("text", "fine-tuned"),  # Fig. 6, for reference
    ("text", "linear"),
)
"""What the paper judges on a task with texts: (setup, protocol), the main one first."""


def evaluation(kind: str, protocol: str, backbone: str, setup: Setup = "image") -> dict[str, Any]:
    """The paper's evaluation of a task: its splits and its schedule, batch for the backbone (App. C.3).

    Whatever reads texts is trained with AdamW. Raises KeyError for a backbone that the paper did not judge on this
    task.
    """
    schedule = TASKS[kind].schedule
    texts = {} if setup == "image" else {"setup": setup, "optimizer": "adamw"}
    return texts | {
        "task": {"kind": kind},
        "protocol": protocol,
        # Sec. 4.3 says random splits, and nothing of classes.
        "splits": {"count": TASKS[kind].random_splits, "stratify": False},
        "epochs": schedule.epochs,
        "milestones": list(schedule.milestones),
        "gamma": schedule.gamma,
        "batch": schedule.batch[backbone],
    }


def _evaluations() -> dict[str, dict[str, Any]]:
    """Every task × setup × protocol × backbone; the first backbone of a task, ResNet-50 where it has one, goes unnamed."""
    presets = {}
    for kind, task in TASKS.items():
        images: list[tuple[Setup, str]] = [("image", protocol) for protocol in task.protocols]
        for setup, protocol in MULTIMODAL if task.text else images:
            title = f"{task.title}, {SETUPS[setup]}" if task.text else task.title
            for number, backbone in enumerate(task.schedule.batch):
                if setup == "text" and number:
                    break  # there is no backbone to vary
                name = f"{title}, {protocol}" + (f", {BACKBONES[backbone].title}" if number else "")
                presets[name] = evaluation(kind, protocol, backbone, setup)
    fast = evaluation("unbiased_emotion", "linear", "resnet50") | {"augment": False}
    return presets | {"UnbiasedEmotion, linear, features kept (fast)": fast}


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
