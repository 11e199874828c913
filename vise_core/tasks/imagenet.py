"""Read ImageNet (ILSVRC-2012): train/<wnid>/*.JPEG and val/<wnid>/*.JPEG."""

from __future__ import annotations

import re
from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.posts.images import is_image_name
from vise_core.specs.tasks.kinds import ImagenetTask
from vise_core.specs.tasks.splits import SplitName

from .files import images_below
from .folder_labels import class_folders
from .records import Row

WNID = re.compile(r"n\d{8}")


def read_imagenet(spec: ImagenetTask, folder: Path) -> list[Row]:
    """Return the rows of train, then of val, each sorted by class and name.

    Raises BadInput for a missing part, a val folder without class folders (as its archive unpacks), a folder that is
    not named by a WordNet id, and classes that occur in one part only.
    """
    train, val = (_part(spec, folder, name) for name in ("train", "val"))
    for own, other, name in ((train, val, "val"), (val, train, "train")):
        absent = sorted(set(own) - set(other))
        if absent:
            raise BadInput(
                f"task {spec.name}: {name}/ has no images of {len(absent)} classes, such as {', '.join(absent[:3])}; "
                "both parts must hold the same classes"
            )
    parts: list[tuple[SplitName, dict[str, list[str]]]] = [("train", train), ("val", val)]
    return [Row(path, wnid, split) for split, part in parts for wnid, paths in part.items() for path in paths]


def _part(spec: ImagenetTask, folder: Path, name: str) -> dict[str, list[str]]:
    """Return {wnid: paths of its images}, without empty classes."""
    part = folder / name
    if not part.is_dir():
        raise BadInput(
            f"task {spec.name}: no folder {name}/ in {folder}; train/<wnid>/ and val/<wnid>/ are expected"
        )
    flat = sum(1 for entry in part.iterdir() if entry.is_file() and is_image_name(entry.name))
    wnids = class_folders(part)
    if flat or not wnids:
        raise BadInput(_flat(spec, name, flat))
    unknown = [wnid for wnid in wnids if not WNID.fullmatch(wnid)]
    if unknown:
        raise BadInput(
            f"task {spec.name}: {name}/{unknown[0]} is no WordNet id such as n01440764 ({len(unknown)} such folders); "
            "for classes of your own use the task kind folder or csv"
        )
    images = {wnid: images_below(folder, part / wnid) for wnid in wnids}
    return {wnid: paths for wnid, paths in images.items() if paths}


def _flat(spec: ImagenetTask, name: str, images: int) -> str:
    if name == "val" and images:
        return (
            f"task {spec.name}: val/ holds {images} images outside of class folders, as its archive unpacks. Move each "
            "into val/<wnid>/: line i of the development kit's ILSVRC2012_validation_ground_truth.txt is the class "
            "number of ILSVRC2012_val_<i, eight digits>.JPEG, and meta.mat gives the wnid (synsets.WNID) of each "
            "number (synsets.ILSVRC2012_ID)"
        )
    return (
        f"task {spec.name}: {name}/ holds {images} images outside of class folders; "
        f"unpack each class's archive into its own {name}/<wnid>/"
    )
