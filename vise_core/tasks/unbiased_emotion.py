"""Read UnbiasedEmotion: images/<emotion>/<object>/<image>, six emotions, no published split."""

from __future__ import annotations

from pathlib import Path

from vise_core.errors import BadInput
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import UnbiasedEmotionTask

from .files import images_below
from .folder_labels import class_folders
from .records import Row

IMAGES = "images"
"""The folder of the release that holds the six; given that folder itself, it is read too."""

EMOTIONS = TASKS["unbiased_emotion"].class_names or ()


def read_unbiased_emotion(spec: UnbiasedEmotionTask, folder: Path) -> list[Row]:
    """Return a row for every image below the six folders, sorted; case of the folder names is ignored.

    Raises BadInput for any other folder, whose images would be left out silently, and for an emotion without images.
    """
    at = folder
    if (folder / IMAGES).is_dir() and not {name.lower() for name in class_folders(folder)} & set(EMOTIONS):
        at = folder / IMAGES
    names = class_folders(at)
    unknown = [name for name in names if name.lower() not in EMOTIONS]
    if unknown:
        raise BadInput(
            f"task {spec.name}: {', '.join(map(repr, unknown))} in {at} is none of {', '.join(EMOTIONS)}; "
            "give the folder that holds these six, and move others out of it"
        )
    rows = [Row(path, name.lower()) for name in names for path in images_below(folder, at / name)]
    emotions = {row.label for row in rows}
    absent = [name for name in EMOTIONS if name not in emotions]
    if absent:
        raise BadInput(
            f"task {spec.name}: no images of {', '.join(absent)} in {folder}; six emotions are expected"
        )
    return rows
