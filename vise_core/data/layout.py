"""Recognise the layout of a folder from file names and from the format of its lists."""

from __future__ import annotations

from pathlib import Path

from vise_core.formats.posts import INDEX_FILE
from vise_core.posts.peek import guess_source
from vise_core.specs.posts.images import is_image_name
from vise_core.specs.survey import DataKind, Layout
from vise_core.specs.tasks.catalogue import EMOTIONS
from vise_core.specs.tasks.kinds import (
    CsvTask,
    CubTask,
    FolderTask,
    HatefulMemesTask,
    HatefulSplit,
    ImagenetTask,
    PoliticsTask,
    Task,
    UnbiasedEmotionTask,
)
from vise_core.tasks.files import is_hidden, task_root
from vise_core.tasks.politics import RELEASED

from .sniff import Proposal, propose_csv

WEIGHT_SUFFIXES = frozenset({".pth", ".pt", ".safetensors", ".pkl", ".bin", ".tar"})


def unwrapped(folder: Path) -> Path:
    """Return the folder, or its single subfolder, which most archives have."""
    while True:
        inside = sorted(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        folder = inside[0]


def recognise(folder: Path, kind: DataKind) -> Layout:
    """Return the layout of the files; ``unknown`` where none fits."""
    if kind == "posts":
        return _posts(folder)
    if kind == "weights":
        has_weights = any(path.suffix in WEIGHT_SUFFIXES for path in folder.rglob("*"))
        return "weights" if has_weights else "unknown"
    return task_of(folder)[0]


def _posts(folder: Path) -> Layout:
    if folder.is_dir():
        inner = unwrapped(folder)
        if (inner / INDEX_FILE).is_file() and any(inner.glob("shard-*.tar")):
            return "shards"
    guessed = guess_source(folder)
    return guessed["kind"] if guessed is not None else "unknown"


def task_of(folder: Path) -> tuple[Layout, Task | None]:
    """Return (layout of labelled images, task to read them with); ``unknown`` and None where none fits.

    The format of lists comes from ``propose_csv``, so that no set is rejected for its delimiter or a column's name.
    """
    root = task_root(folder)
    names = {path.name for path in root.iterdir()}
    if {"images.txt", "train_test_split.txt"} <= names:
        return "cub", CubTask()
    if "train.jsonl" in names and "img" in names:
        val: HatefulSplit = "dev_seen" if "dev.jsonl" not in names and "dev_seen.jsonl" in names else "dev"
        return "hateful_memes", HatefulMemesTask(val=val)
    if {"train", "val"} <= names and _holds_wnids(root / "train"):
        return "imagenet", ImagenetTask()
    if RELEASED in names:
        return "politics", PoliticsTask()
    proposal = propose_csv(root)
    if proposal is not None and (proposal.existing or "labels.csv" in names):
        if _is_politics(proposal):
            return "politics", PoliticsTask(manifest=proposal.task.manifest)
        return "csv", proposal.task
    if "labels.csv" in names:
        return "csv", CsvTask()
    return _by_folders(root) or (("csv", proposal.task) if proposal is not None else ("unknown", None))


def _is_politics(proposal: Proposal) -> bool:
    """Return True if the list is a manifest of Politics: its columns and its two labels."""
    task = proposal.task
    return (
        {task.path_column, task.label_column, task.split_column} <= {"path", "local_path", "label", "split"}
        and task.encoding == "utf-8"
        and proposal.labels == {"left", "right"}
    )


def _by_folders(root: Path) -> tuple[Layout, Task] | None:
    for place in (root, root / "images"):
        if place.is_dir():
            classes = {path.name.lower() for path in place.iterdir() if path.is_dir() and _holds_images(path)}
            if set(EMOTIONS) <= classes and classes <= {*EMOTIONS, "masks"}:
                return "unbiased_emotion", UnbiasedEmotionTask()
    if any(path.is_dir() and not is_hidden(path.name) and _holds_images(path) for path in root.iterdir()):
        return "folder", FolderTask()
    return None


def _holds_images(folder: Path) -> bool:
    return any(is_image_name(path.name) for path in folder.rglob("*"))


def _holds_wnids(folder: Path) -> bool:
    first = (
        next((path.name for path in sorted(folder.iterdir()) if path.is_dir()), "") if folder.is_dir() else ""
    )
    return len(first) == 9 and first.startswith("n") and first[1:].isdecimal()
