"""<root>/<class>/**/<image>: the class is the first folder under the root."""

from __future__ import annotations

from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.images import IMAGE_SUFFIXES
from vise_core.specs.tasks import FolderTask

from .files import images_below
from .records import Row

NOT_CLASSES = frozenset({"masks", "__MACOSX"})
"""Folders under the root that hold no labelled images: the sample set's masks, an archiver's litter."""


def read_folder_labels(spec: FolderTask, folder: Path) -> list[Row]:
    """Every image below a class folder, sorted by path; hidden files and folders are passed over.

    Linked folders are not entered. Raises BadInput where there is no image.
    """
    rows = [Row(path, name) for name in class_folders(folder) for path in images_below(folder, folder / name)]
    if not rows:
        raise BadInput(
            f"task {spec.name}: no images in {folder}; expected <class>/<image> with one of the endings "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return rows


def class_folders(folder: Path) -> list[str]:
    """Names of the folders right below, sorted: no hidden ones, no links, none of ``NOT_CLASSES``."""
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in NOT_CLASSES
        and not entry.name.startswith(".")
        and not entry.is_symlink()
        and entry.is_dir()
    )
