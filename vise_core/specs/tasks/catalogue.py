"""What the paper says of each of its tasks (Table 8, App. C.3)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base import Record
from .kinds import CsvTask, FolderTask, Task
from .metrics import Metric
from .splits import SplitName

EMOTIONS = ("anger", "fear", "joy", "love", "sadness", "surprise")
"""The six classes of UnbiasedEmotion, and of the sample evaluation set."""


class Schedule(Record):
    """The paper's training schedule for a task, for both protocols (App. C.3, Tables 10-16)."""

    epochs: int
    milestones: tuple[int, ...] = Field(description="Epochs at which the rate is multiplied by gamma.")
    gamma: float
    batch: dict[str, int] = Field(
        description="Backbone → images a step, for the backbones that the paper names."
    )
    ours: tuple[str, ...] = Field(
        (), description="Which of these the paper does not state, so that they are ours."
    )


class TaskEntry(Record):
    """What the paper states about a task: counts, metric, splits and schedule."""

    title: str = Field(description="Its name in tables.")
    about: str = Field(description="Table 8's column Task.")
    layout: str = Field(description="The published files, in words.")
    classes: int
    class_names: tuple[str, ...] | None = Field(
        None, description="In the order of the labels, where the task names them."
    )
    counts: dict[SplitName, int] = Field(
        description="Images in each split; a split that is not named has none."
    )
    counts_from: str = "Table 8"
    random_splits: int = Field(
        description="How many random splits are drawn; 1: as published, or drawn once."
    )
    metric: Metric
    secondary: tuple[str, ...] = Field((), description="Reported too, never chosen by.")
    text: bool = Field(False, description="Each image comes with a sentence.")
    protocols: tuple[Literal["linear", "fine-tuned"], ...] = ("linear", "fine-tuned")
    schedule: Schedule


TASKS: dict[str, TaskEntry] = {
    "unbiased_emotion": TaskEntry(
        title="UnbiasedEmotion",
        about="Image emotion recognition",
        layout="images/<emotion>/<object>/*.jpg for anger, fear, joy, love, sadness, surprise",
        classes=6,
        class_names=EMOTIONS,
        counts={"train": 2_131, "val": 304, "test": 610},
        random_splits=5,
        metric="accuracy",
        schedule=Schedule(
            epochs=100,
            milestones=(60, 80),
            gamma=0.1,
            batch={"resnet50": 128, "resnet101": 64, "resnext101_32x16d": 32},
            ours=("epochs", "milestones", "gamma"),
        ),
    ),
    "politics": TaskEntry(
        title="Politics",
        about="Visual political bias prediction",
        layout="imgs/LEFT and imgs/RIGHT with train_test_paths.pickle, or a manifest path,label,split",
        classes=2,
        class_names=("left", "right"),
        counts={"train": 607_306, "val": 67_478, "test": 75_148},
        random_splits=1,
        metric="accuracy",
        schedule=Schedule(
            epochs=25,
            milestones=(10, 20),
            gamma=0.1,
            batch={"resnet50": 192, "resnet101": 192, "resnext101_32x16d": 192},
        ),
    ),
    "hateful_memes": TaskEntry(
        title="Hateful Memes",
        about="Hate speech detection in multimodal memes",
        layout="img/*.png with train.jsonl and dev.jsonl (phase 1)",
        classes=2,
        class_names=("not hateful", "hateful"),
        counts={"train": 8_500, "val": 500},
        random_splits=1,
        metric="roc_auc",
        secondary=("accuracy",),
        text=True,
        schedule=Schedule(
            epochs=30,
            milestones=(20,),
            gamma=0.5,
            batch={"resnet50": 64, "resnet101": 32, "resnext101_32x16d": 16},
        ),
    ),
    "cub": TaskEntry(
        title="CUB-200-2011",
        about="Fine-grained bird species recognition",
        layout="images.txt, image_class_labels.txt, train_test_split.txt, images/",
        classes=200,
        counts={"train": 5_994, "val": 5_794},
        random_splits=1,
        metric="top1",
        secondary=("top5",),
        schedule=Schedule(
            epochs=300, milestones=(100, 200), gamma=0.1, batch={"resnet50": 128, "resnext101_32x16d": 32}
        ),
    ),
    "imagenet": TaskEntry(
        title="ImageNet",
        about="Object recognition",
        layout="train/<wnid>/*.JPEG and val/<wnid>/*.JPEG",
        classes=1000,
        counts={"train": 1_281_167, "val": 50_000},
        counts_from="ILSVRC-2012",
        random_splits=1,
        metric="top1",
        secondary=("top5",),
        protocols=("fine-tuned",),
        # Table 4 comes without a schedule: this is the one of App. C.2's ImageNet training.
        schedule=Schedule(
            epochs=100,
            milestones=(30, 60, 90),
            gamma=0.1,
            batch={"resnext101_32x16d": 256},
            ours=("epochs", "milestones", "gamma", "batch"),
        ),
    ),
}
"""The paper's tasks by kind. A user's own (folder, csv) have no entry."""


def task_metric(task: Task) -> Metric:
    """Return the metric that chooses the grid point on val."""
    return task.metric if isinstance(task, FolderTask | CsvTask) else TASKS[task.kind].metric


def has_texts(task: Task) -> bool:
    """Return True if each image of the task comes with a text."""
    if isinstance(task, CsvTask):
        return task.text_column is not None
    return not isinstance(task, FolderTask) and TASKS[task.kind].text


def secondary_metrics(task: Task) -> tuple[str, ...]:
    """Return the metrics that are reported beside the task's own."""
    if isinstance(task, FolderTask | CsvTask):
        return {"accuracy": (), "top1": ("top5",), "roc_auc": ("accuracy",)}[task.metric]
    return TASKS[task.kind].secondary
