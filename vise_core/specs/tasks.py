"""Specs of the downstream tasks, what the paper says of each (Table 8, App. C.3), and how they are split.

``TASKS`` is the one place of these facts: presets, reports and ``vise tasks verify`` read it. Adding a task is its
spec and its entry here, and its reader in ``vise_core.tasks``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vise_core.files.names import printable_name

from .base import Record, Result, Spec
from .posts import EMOTIONS

Metric = Literal["accuracy", "top1", "roc_auc"]
"""What a task is judged by, and its hyper-parameters are chosen by on val."""

SplitName = Literal["train", "val", "test"]


class MetricEntry(Record):
    """How a metric is written."""

    title: str
    percent: bool = Field(
        description="In percent with two digits; else in [0, 1] with four, as the paper prints it."
    )

    @property
    def digits(self) -> int:
        return 2 if self.percent else 4


METRICS: dict[str, MetricEntry] = {
    "accuracy": MetricEntry(title="accuracy", percent=True),
    "top1": MetricEntry(title="top-1 accuracy", percent=True),
    "top5": MetricEntry(title="top-5 accuracy", percent=True),
    "roc_auc": MetricEntry(title="macro ROC AUC", percent=False),
}
"""Every number that an evaluation may report, by name."""


def written(metric: str, mean: float, std: float | None = None) -> str:
    """A number with its metric's name, digits and unit, such as ``accuracy 71.25 ± 2.00 %``."""
    entry = METRICS[metric]
    spread = "" if std is None else f" ± {std:.{entry.digits}f}"
    return f"{entry.title} {mean:.{entry.digits}f}{spread}{' %' if entry.percent else ''}"


NAMED_BY_DATA = (
    "Name of the task in tables; empty: the name of the data set, or of the folder for a local run."
)


class FolderTask(Record):
    """<root>/<class>/**/<image>, or with a published split <root>/<train, val, test>/<class>/**/<image>."""

    kind: Literal["folder"] = "folder"
    name: str = Field("", description=NAMED_BY_DATA)
    metric: Metric = Field("accuracy", description="Chooses on val, and is reported.")


class CsvTask(Record):
    """A CSV file of path,label and perhaps split (train, val, test). The survey of a data set proposes all of it."""

    kind: Literal["csv"] = "csv"
    name: str = Field("", description=NAMED_BY_DATA)
    manifest: str = Field("labels.csv", description="The CSV file, relative to the data set's folder.")
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = Field("utf-8", max_length=40, description="Such as utf-8, utf-16, cp1252 or shift_jis.")
    header: bool = Field(
        True, description="The first line names the columns. Off: columns are called 1, 2, 3 and so on."
    )
    images: str = Field(
        "",
        description="Folder that paths are relative to, below the data set's; empty: the data set's folder, or that of "
        "the CSV file.",
    )
    path_column: str = "path"
    label_column: str = "label"
    split_column: str | None = Field("split", description="Used where the file has it.")
    text_column: str | None = Field(None, description="A sentence for each image, for setups that read it.")
    metric: Metric = Field("accuracy", description="Chooses on val, and is reported.")

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError as error:
            raise ValueError(f"there is no text encoding {value!r}; write utf-8, utf-16 or cp1252") from error
        return value


class UnbiasedEmotionTask(Record):
    """<emotion>/**/<image> at the root or in images/, the six emotions of the paper; split at random."""

    kind: Literal["unbiased_emotion"] = "unbiased_emotion"
    name: str = Field("UnbiasedEmotion", description="Name of the task in tables.")


class PoliticsTask(Record):
    """As released: imgs/LEFT|RIGHT/… and train_test_paths.pickle. Or a manifest of path, label and split."""

    kind: Literal["politics"] = "politics"
    name: str = Field("Politics", description="Name of the task in tables.")
    manifest: str | None = Field(
        None,
        description="The list, relative to the data set's folder: train_test_paths.pickle, or a manifest of path (or "
        "local_path), label (left, right) and split (train, test) with delimiter , ; | or tab. null: the pickle, or the "
        "only .csv, .tsv or .txt there.",
    )


HatefulSplit = Literal["train", "dev", "test", "dev_seen", "dev_unseen", "test_seen", "test_unseen"]
"""Phase 1 has train, dev, test; phase 2 train and the others."""


class HatefulMemesTask(Record):
    """img/*.png and <split>.jsonl. Which file serves as what is named: phase 1's train and dev, as in the paper."""

    kind: Literal["hateful_memes"] = "hateful_memes"
    name: str = Field("Hateful Memes", description="Name of the task in tables.")
    train: HatefulSplit = Field("train", description="File that trains.")
    val: HatefulSplit = Field(
        "dev", description="File that chooses: dev (phase 1), dev_seen or dev_unseen (phase 2)."
    )
    test: HatefulSplit | None = Field(
        None,
        description="File that reports; its rows without a label are left out. null: val reports, as in the paper.",
    )

    @model_validator(mode="after")
    def _each_file_once(self) -> HatefulMemesTask:
        named = [name for name in (self.train, self.val, self.test) if name is not None]
        if len(set(named)) != len(named):
            raise ValueError(f"train, val and test must be different files, not {', '.join(named)}")
        return self


class CubTask(Record):
    """CUB_200_2011: images.txt, image_class_labels.txt, train_test_split.txt, images/. Published test is val."""

    kind: Literal["cub"] = "cub"
    name: str = Field("CUB-200-2011", description="Name of the task in tables.")


class ImagenetTask(Record):
    """train/<wnid>/*.JPEG and val/<wnid>/*.JPEG of ILSVRC-2012."""

    kind: Literal["imagenet"] = "imagenet"
    name: str = Field("ImageNet", description="Name of the task in tables.")


Task = Annotated[
    FolderTask | CsvTask | UnbiasedEmotionTask | PoliticsTask | HatefulMemesTask | CubTask | ImagenetTask,
    Field(discriminator="kind"),
]


def named_task(task: Task, data: str) -> Task:
    """The task with a name for tables: its own, else that of its data.

    The kind alone is no name: it was the default of older specs, which stored it as if it had been chosen.
    """
    return (
        task.model_copy(update={"name": printable_name(data) or task.kind})
        if task.name in ("", task.kind)
        else task
    )


class SplitSpec(Record):
    """Random splits of train / val / test; val and train round down, test takes the rest (Table 8)."""

    count: int = Field(5, ge=1, le=100)
    train: float = Field(0.7, gt=0, lt=1)
    val: float = Field(0.1, gt=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**31)
    stratify: bool = Field(
        True,
        description="Draw from each class by itself, so that every part has the classes in the same shares. Off: from "
        "all images at once, as the paper does; its presets and recipes keep that.",
    )

    @model_validator(mode="after")
    def _leaves_a_test_set(self) -> SplitSpec:
        if self.train + self.val >= 1:
            raise ValueError("train + val must leave a share for test")
        return self


class Schedule(Record):
    """How the paper trains on a task, for both protocols (App. C.3, Tables 10-16)."""

    epochs: int
    milestones: tuple[int, ...] = Field(description="Epochs at which the rate is multiplied by gamma.")
    gamma: float
    batch: dict[str, int] = Field(
        description="Backbone → images a step, for the backbones that the paper names."
    )
    ours: tuple[str, ...] = Field(
        (), description="Which of these the paper does not tell, so that they are ours."
    )


class TaskEntry(Record):
    """What the paper says of a task."""

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
    """The metric that chooses on val."""
    return task.metric if isinstance(task, FolderTask | CsvTask) else TASKS[task.kind].metric


def has_texts(task: Task) -> bool:
    """Whether each image of the task comes with a sentence."""
    if isinstance(task, CsvTask):
        return task.text_column is not None
    return not isinstance(task, FolderTask) and TASKS[task.kind].text


def secondary_metrics(task: Task) -> tuple[str, ...]:
    """What is reported beside it."""
    if isinstance(task, FolderTask | CsvTask):
        return {"accuracy": (), "top1": ("top5",), "roc_auc": ("accuracy",)}[task.metric]
    return TASKS[task.kind].secondary


Verdict = Literal["complete", "incomplete", "unusable"]


class Listed(Record):
    """How many there are, and the first of them."""

    number: int = 0
    first: tuple[str, ...] = ()


class SplitCount(Record):
    """Images of one split, as found and as published."""

    split: SplitName
    found: int
    expected: int | None = Field(description="None where nothing is published for this choice of splits.")
    classes: dict[str, int] = Field(description="Class → images of it in this split.")


class TaskReport(Record):
    """What ``vise tasks verify`` found. Unusable: an evaluation would refuse the folder."""

    kind: str
    title: str
    images: int = Field(0, description="Labelled images whose file is there.")
    splits: tuple[SplitCount, ...] = Field((), description="Random splits: the sizes of the first one.")
    classes_found: int = 0
    classes_expected: int | None = None
    unlabelled: int = Field(0, description="Rows of a test set that have no label; they are left out.")
    missing: Listed = Field(Listed(), description="Files that the lists name and that are not there.")
    unreadable: Listed = Field(Listed(), description="Files that are no image, or a damaged one.")
    shared: Listed = Field(Listed(), description="The same file in two splits, by content.")
    repeated: Listed = Field(Listed(), description="The same file twice in one split, by content.")
    decoded: bool = Field(
        False, description="Whether files were opened: without, only lists and names are checked."
    )
    verdict: Verdict
    sentences: tuple[str, ...] = Field(description="What was found and what to do, for people.")

    @property
    def usable(self) -> bool:
        return self.verdict != "unusable"


TaskKind = Literal["unbiased_emotion", "politics", "hateful_memes", "cub", "imagenet"]


class SampleTasksSpec(Spec):
    """Synthetic stand-ins for the paper's tasks, in the layouts in which the real ones are published."""

    kinds: tuple[TaskKind, ...] = Field(
        ("unbiased_emotion", "politics", "hateful_memes", "cub", "imagenet"), min_length=1
    )
    images: int = Field(240, ge=56, le=100_000, description="Images of each task.")
    image_size: int = Field(64, ge=32, le=512, description="Side of the generated images, pixels.")


class SampleTasksResult(Result):
    """Artifacts: a folder for each task, by its kind."""

    images: int

    def headline(self) -> dict[str, float]:
        return {"images": self.images}
