"""Read <root>/<class>/**/<image>, or <root>/<split>/<class>/**/<image> as in torchvision's references."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from vise_core.errors import BadInput
from vise_core.specs.posts.images import IMAGE_SUFFIXES, is_image_name
from vise_core.specs.tasks.kinds import FolderTask
from vise_core.specs.tasks.splits import SplitName

from .files import images_below, is_hidden
from .records import Row
from .split_names import SPLIT_NAMES

NOT_CLASSES = frozenset({"masks", "__MACOSX"})
"""Folders under the root that hold no labelled images: the sample set's masks, an archiver's litter."""


class Part(NamedTuple):
    """A folder named as a split: its classes, and the images directly in it."""

    name: str
    split: SplitName
    classes: dict[str, list[str]]
    flat: list[str]


def read_folder_labels(spec: FolderTask, folder: Path) -> list[Row]:
    """Return a row for every image below a class folder, sorted by path; skip hidden files and folders.

    If all folders under the root are named as splits (train with val, test or both) and contain class folders, they
    are the published split. The images of a flat test folder beside them have no labels: they are left out and
    counted. Linked folders are not entered. Raises BadInput where there is no image, or where a split mixes class
    folders with images of no class.
    """
    folder, prefix = _classes_within(folder)
    parts = _parts(folder)
    if parts is None:
        rows = [
            Row(prefix + path, name)
            for name in class_folders(folder)
            for path in images_below(folder, folder / name)
        ]
    else:
        rows = [
            Row(prefix + path, name, part.split)
            for part in parts
            for name, paths in part.classes.items()
            for path in paths
        ]
        rows += [Row(prefix + path, None, "test") for part in parts for path in part.flat]
    if not rows:
        raise BadInput(
            f"task {spec.name}: no images in {folder}; expected <class>/<image> or train/<class>/<image> with one of "
            f"the endings {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return rows


def folder_notes(folder: Path) -> list[str]:
    """Return notes on how ambiguous folders were read, one sentence each."""
    folder, prefix = _classes_within(folder)
    notes = [f"The classes are the folders in {prefix}."] if prefix else []
    named = [name for name in class_folders(folder) if name.lower() in SPLIT_NAMES]
    parts = _parts(folder)
    if parts is not None:
        names = ", ".join(f"{part.name}/" for part in parts)
        return [*notes, f"The folders {names} are the published split; the classes are the folders in them."]
    if named:
        notes.append(
            f"{', '.join(named)} {'is a class' if len(named) == 1 else 'are classes'} here, not a split: a split is "
            "read from train/ with val/ or test/ where each holds class folders and nothing else lies beside them."
        )
    return notes


def _classes_within(folder: Path) -> tuple[Path, str]:
    """Return (the folder that contains the class folders, its path below the root with a slash).

    UnbiasedEmotion, among others, is released as images/<class>/…: a single folder with classes in it is entered.
    """
    inner, prefix = folder, ""
    while len(names := class_folders(inner)) == 1:
        inner, prefix = inner / names[0], f"{prefix}{names[0]}/"
        if any(is_image_name(entry.name) for entry in inner.iterdir()):
            return folder, ""
    return (inner, prefix) if names else (folder, "")


def _parts(folder: Path) -> list[Part] | None:
    """Return the splits, train first; None where the folders under the root are classes.

    Raises BadInput for images of no class in train or val, if the other folders are splits.
    """
    names = [name for name in class_folders(folder) if images_below(folder, folder / name)]
    splits = {SPLIT_NAMES.get(name.lower()) for name in names}
    if None in splits or "train" not in splits or len(splits) < 2:
        return None
    parts = [_part(folder, name) for name in names]
    if not any(part.classes for part in parts):
        return None
    trained = {name for part in parts if part.split == "train" for name in part.classes}
    judged = {name for part in parts if part.split != "train" for name in part.classes}
    if judged and not trained & judged:
        return None
    for part in parts:
        if part.flat and (part.split != "test" or part.classes):
            if not any(other.classes for other in parts):
                return None
            raise BadInput(
                f"{part.name}/ holds {len(part.flat)} images outside of class folders, such as {part.flat[0]}, and "
                f"other folders beside it hold classes. Move each into {part.name}/<class>/, or {part.name}/ away"
            )
    if not any(part.classes for part in parts if part.split != "train"):
        raise BadInput(
            f"the test folder holds images without classes ({len(parts[-1].flat)}) and there is no val folder: nothing "
            "could be judged. Move the images into test/<class>/, or move test/ away so that splits are drawn from "
            "train/"
        )
    order: list[SplitName] = ["train", "val", "test"]
    return sorted(parts, key=lambda part: (order.index(part.split), part.name))


def _part(folder: Path, name: str) -> Part:
    classes = {label: images_below(folder, folder / name / label) for label in class_folders(folder / name)}
    flat = sorted(
        f"{name}/{entry.name}"
        for entry in (folder / name).iterdir()
        if is_image_name(entry.name) and not is_hidden(entry.name) and entry.is_file()
    )
    return Part(
        name, SPLIT_NAMES[name.lower()], {label: paths for label, paths in classes.items() if paths}, flat
    )


def class_folders(folder: Path) -> list[str]:
    """Return the names of direct subfolders, sorted, without hidden ones, links, and those of ``NOT_CLASSES``."""
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in NOT_CLASSES
        and not entry.name.startswith(".")
        and not entry.is_symlink()
        and entry.is_dir()
    )
