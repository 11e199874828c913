"""The paper's evaluations of each task, by name."""

from __future__ import annotations

from typing import Any

from ..models.backbones import BACKBONES
from ..tasks.catalogue import TASKS
from .setups import SETUPS, Setup

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
    """Return the paper's evaluation of a task as spec fields: its splits, its schedule, and its batch for the backbone.

    App. C.3. Setups that read texts are trained with AdamW. Raises KeyError for a backbone that the paper did not
    evaluate on this task.
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


def evaluation_presets() -> dict[str, dict[str, Any]]:
    """Return {name: spec fields} for every task × setup × protocol × backbone of the paper.

    A name leaves out the first backbone of a task, which is ResNet-50 where it has one.
    """
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
