"""<root>/<class>/**/<image>: the class is the first folder under the root."""

from __future__ import annotations

import os
from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.tasks import FolderTask

from .records import IMAGE_SUFFIXES, Row, inside

NOT_CLASSES = frozenset({"masks", "__MACOSX"})
"""Folders under the root that hold no labelled images: the sample set's masks, an archiver's litter."""


def read_folder_labels(spec: FolderTask, folder: Path) -> list[Row]:
    """Every image below a class folder, sorted by path; hidden files and folders are passed over.

    Linked folders are not entered. Raises BadInput where there is no image, or a link leads out of the folder.
    """
    rows = []
    for class_folder in sorted(folder.iterdir()):
        name = class_folder.name
        if name in NOT_CLASSES or name.startswith(".") or class_folder.is_symlink():
            continue
        if class_folder.is_dir():
            rows += [Row(path, name) for path in _images_below(folder, class_folder)]
    if not rows:
        raise BadInput(
            f"task {spec.name}: no images in {folder}; expected <class>/<image> with one of the endings "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return rows


def _images_below(root: Path, class_folder: Path) -> list[str]:
    found = []
    for parent, folders, files in os.walk(class_folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.startswith(".") or Path(name).suffix.lower() not in IMAGE_SUFFIXES:
                continue
            relative = (Path(parent) / name).relative_to(root).as_posix()
            inside(root, relative, f"{class_folder.name}/")
            found.append(relative)
    return sorted(found)
