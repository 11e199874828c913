"""Load a labelled image set from a user's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vise_core.errors import BadInput
from vise_core.files.names import printable_name, printable_text
from vise_core.formats.data_card import says_synthetic
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import CsvTask, PoliticsTask, Task, named_task

from .csv_labels import read_csv_labels
from .cub import read_cub
from .files import locate_rows, task_root
from .folder_labels import read_folder_labels
from .hateful_memes import read_hateful_memes
from .imagenet import read_imagenet
from .notes import notes_on
from .politics import read_politics
from .records import LabelledImages, Row
from .unbiased_emotion import read_unbiased_emotion
from .usable import RejectedImages, missing_problems

READERS: dict[str, Callable[[Any, Path], list[Row]]] = {
    "folder": read_folder_labels,
    "csv": read_csv_labels,
    "unbiased_emotion": read_unbiased_emotion,
    "politics": read_politics,
    "hateful_memes": read_hateful_memes,
    "cub": read_cub,
    "imagenet": read_imagenet,
}
"""How each kind of task is read. Adding a kind: its spec in ``specs.tasks.kinds`` and its reader here."""


def load_task(spec: Task, folder: Path) -> LabelledImages:
    """Load the labelled images of a task; reads names and labels, no pixels.

    Images without a label are left out and counted. An optional ``dataset.json`` beside the images says whether they
    are synthetic. Raises BadInput if the folder does not hold such a task, RejectedImages if a file is missing.
    """
    images, missing = open_task(spec, folder)
    if missing or images is None:
        raise RejectedImages(spec.name, len(images or ()) + len(missing), missing_problems(missing))
    return images


def open_task(spec: Task, folder: Path) -> tuple[LabelledImages | None, list[Row]]:
    """Return (images whose file exists, rows whose file is missing); images is None if too few are left.

    Raises BadInput if the folder does not hold such a task.
    """
    if not folder.is_dir():
        raise BadInput(f"task {spec.name}: {printable_name(folder)} is not a folder")
    spec = named_task(spec, folder.resolve().name)
    root = folder if spec.kind == "folder" else task_root(folder)
    there, missing = locate_rows(root, read_rows(spec, root), bases(spec))
    try:
        return as_images(spec, root, there), missing
    except BadInput:
        if missing:
            return None, missing
        raise


def read_rows(spec: Task, folder: Path) -> list[Row]:
    """Return the rows that the task's lists and folders name, without checking the files.

    Raises BadInput, naming the file and line, if a list is missing or not of the task's format.
    """
    return READERS[spec.kind](spec, folder)


def bases(spec: Task) -> tuple[str, ...]:
    """Return the folders, relative to the data set's, that the paths of the task's list may be relative to."""
    manifest = spec.manifest if isinstance(spec, CsvTask | PoliticsTask) else None
    own = spec.images if isinstance(spec, CsvTask) else ""
    beside = "" if manifest is None else PurePosixPath(manifest).parent.as_posix()
    return tuple(dict.fromkeys((own, "", "" if beside == "." else beside)))


def as_images(spec: Task, folder: Path, rows: Sequence[Row]) -> LabelledImages:
    """Build the labelled images of rows. Raises BadInput for fewer than two classes, or if a known class is absent."""
    # A class may be named by a folder, and a folder's name need not be text.
    labelled = [(row, printable_name(row.label)) for row in rows if row.label is not None]
    present = {label for _, label in labelled}
    if len(present) < 2:
        raise BadInput(
            f"task {spec.name}: {len(labelled)} images of {len(present)} class(es) in {folder}; at least two classes are "
            "needed"
        )
    classes = _known_classes(spec) or _class_order(present)
    absent = [name for name in classes if name not in present]
    if absent:
        raise BadInput(f"task {spec.name}: no images of {', '.join(absent)} in {folder}")
    number = {name: index for index, name in enumerate(classes)}
    splits = [row.split for row, _ in labelled]
    texts = [row.text for row, _ in labelled]
    images = LabelledImages(
        name=spec.name,
        root=folder,
        paths=tuple(folder / row.path for row, _ in labelled),
        labels=np.array([number[label] for _, label in labelled], dtype=np.int64),
        classes=classes,
        published=tuple(s for s in splits if s is not None) if splits[0] is not None else None,
        synthetic=says_synthetic(folder),
        texts=tuple(printable_text(t) for t in texts if t is not None) if texts[0] is not None else None,
        unlabelled=len(rows) - len(labelled),
    )
    return replace(images, notes=tuple(notes_on(spec, images)))


def _known_classes(spec: Task) -> tuple[str, ...] | None:
    """Return the class names of the task's definition, in the order of its labels; None without them."""
    return TASKS[spec.kind].class_names if spec.kind in TASKS else None


def _class_order(names: set[str]) -> tuple[str, ...]:
    """Sort class names, by number if all are numbers, so that class 10 comes after class 2."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
