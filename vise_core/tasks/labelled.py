"""A labelled image set, read from a folder that the user gave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from vise_core.errors import BadImage, BadInput
from vise_core.posts.images import open_image
from vise_core.specs.tasks import Task

from .csv_labels import read_csv_labels
from .folder_labels import read_folder_labels
from .records import LabelledImages, Row

MAX_DATASET_JSON_BYTES = 1_000_000
MAX_IMAGE_PIXELS = 50_000_000
"""Larger images of a task are refused before they are decoded."""

READERS: dict[str, Callable[[Any, Path], list[Row]]] = {
    "folder": read_folder_labels,
    "csv": read_csv_labels,
}
"""How each kind of task is read. Adding a kind: its spec in ``specs.tasks`` and its reader here."""


def load_task(spec: Task, folder: Path) -> LabelledImages:
    """The labelled images of a task; reads names and labels, no pixels.

    ``dataset.json`` beside the images, where there is one, says whether they are synthetic.
    Raises BadInput where the folder does not hold such a task.
    """
    if not folder.is_dir():
        raise BadInput(f"task {spec.name}: {folder} is not a folder")
    rows = READERS[spec.kind](spec, folder)
    classes = _class_order({row.label for row in rows})
    if len(classes) < 2:
        raise BadInput(
            f"task {spec.name}: {len(rows)} images of {len(classes)} class(es) in {folder}; at least two classes are "
            "needed"
        )
    number = {name: index for index, name in enumerate(classes)}
    published = [row.split for row in rows]
    return LabelledImages(
        name=spec.name,
        root=folder,
        paths=tuple(folder / row.path for row in rows),
        labels=np.array([number[row.label] for row in rows], dtype=np.int64),
        classes=classes,
        published=tuple(s for s in published if s is not None) if published[0] is not None else None,
        synthetic=_says_synthetic(folder),
    )


def require_readable(images: LabelledImages, *, workers: int = 2, name_first: int = 10) -> None:
    """Decode every image once and refuse the task where some cannot be read.

    Refused as a whole, not skipped: a test set with images missing gives numbers that compare with nobody's.
    Raises BadInput with the count by reason and the first paths.
    """
    with ThreadPoolExecutor(workers) as pool:
        problems = [
            (path, problem)
            for path, problem in zip(images.paths, pool.map(_problem, images.paths), strict=True)
            if problem is not None
        ]
    if not problems:
        return
    reasons = Counter(problem.reason for _, problem in problems)
    lines = [
        f"  {path.relative_to(images.root).as_posix()}: {problem}" for path, problem in problems[:name_first]
    ]
    if len(problems) > name_first:
        lines.append(f"  … and {len(problems) - name_first} more")
    counted = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    raise BadInput(
        f"task {images.name}: {len(problems)} of {len(images)} images cannot be read ({counted}); "
        "mend or remove them:\n" + "\n".join(lines)
    )


def _problem(path: Path) -> BadImage | None:
    try:
        open_image(path, max_pixels=MAX_IMAGE_PIXELS)
    except BadImage as error:
        return error
    return None


def _class_order(names: set[str]) -> tuple[str, ...]:
    """Sorted by name; by number where every name is one, so that class 10 comes after class 2."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _says_synthetic(folder: Path) -> bool:
    path = folder / "dataset.json"
    if not path.is_file():
        return False
    if path.stat().st_size > MAX_DATASET_JSON_BYTES:
        raise BadInput(f"{path}: larger than {MAX_DATASET_JSON_BYTES} bytes")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise BadInput(f"{path}: not JSON: {error}") from error
    flag = facts.get("synthetic", False) if isinstance(facts, dict) else None
    if not isinstance(flag, bool):
        raise BadInput(f"{path}: must be an object whose field synthetic, where given, is true or false")
    return flag
