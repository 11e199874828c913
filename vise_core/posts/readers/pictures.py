"""Read posts from a folder of images, each with a .json or .txt of the same name beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput
from vise_core.files.names import OutsideFolder, contained, is_file, printable_name
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.images import is_image_name
from vise_core.specs.posts.sources import PicturesSource

from ..paths import as_text, is_system_file
from .raw import MAX_MEMBER_BYTES, Notes, RawPost
from .sidecars import row_of

SIDECARS = (".json", ".txt")


def read_pictures(folder: Path, _: PicturesSource, notes: Notes) -> Iterator[RawPost]:
    """Yield a raw post for each image and its sidecar, folder by folder, sorted by name.

    ``a.json`` or ``a.jpg.json`` belongs to ``a.jpg``. The id is the JSON's, else the name without its suffix. Raises
    BadInput if ``folder`` is no folder.
    """
    if not folder.is_dir():
        raise BadInput("give the folder that holds the pictures")
    notes.is_data = is_sidecar
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        yield from _folder(folder, Path(place), sorted(name for name in names if not is_system_file(name)))


def is_sidecar(name: str) -> bool:
    """Return True if a file of this layout belongs to an image."""
    return name.lower().endswith(SIDECARS)


def _folder(root: Path, place: Path, names: list[str]) -> Iterator[RawPost]:
    pictures: dict[str, list[str]] = {}
    sidecars: dict[str, dict[str, list[str]]] = {}
    for name in names:
        if is_image_name(name):
            pictures.setdefault(name[: name.rindex(".")], []).append(name)
    full = {name: stem for stem, several in pictures.items() for name in several}
    beside = [name for name in names if is_sidecar(name)]
    for stem, several in list(pictures.items()):
        # a.jpg and a.png are two posts where each has a file of its own whole name.
        if len(several) > 1 and set(several) <= {name[: name.rindex(".")] for name in beside}:
            del pictures[stem]
            pictures |= {name: [name] for name in several}
            full |= {name: name for name in several}
    for name in beside:
        stem, suffix = name[: name.rindex(".")], name[name.rindex(".") + 1 :].lower()
        sidecars.setdefault(full.get(stem, stem), {}).setdefault(suffix, []).append(name)
    below = place.relative_to(root).as_posix()
    for stem in sorted({*pictures, *sidecars}):
        key = stem if below == "." else f"{below}/{stem}"
        yield _post(root, place, key, pictures.get(stem, []), sidecars.get(stem, {}))


def _post(root: Path, place: Path, key: str, pictures: list[str], sidecars: dict[str, list[str]]) -> RawPost:
    first = next(iter([*pictures, *(name for several in sidecars.values() for name in several)]))
    where = printable_name((place / first).relative_to(root).as_posix())
    row: Any = None
    image = place / pictures[0] if pictures else None
    try:
        if not pictures:
            raise RejectedPost("missing_image", "there is no picture of this name beside it")
        if len(pictures) > 1:
            raise RejectedPost(
                "several_images",
                f"{len(pictures)} pictures have this name: {printable_name(', '.join(pictures))}",
            )
        twice = next((several for several in sidecars.values() if len(several) > 1), None)
        if twice is not None:
            raise RejectedPost(
                "several_sidecars", f"{printable_name(' and '.join(twice))} both belong to the picture"
            )
        row = row_of(
            as_text(key), {suffix: _read(root, place / names[0]) for suffix, names in sidecars.items()}
        )
        _inside(root, place / pictures[0])
    except RejectedPost as error:
        return RawPost(where, row, image, rejected=error)
    return RawPost(where, row, image)


def _read(root: Path, path: Path) -> bytes:
    if not is_file(_inside(root, path)):
        raise RejectedPost("missing_data", f"'{printable_name(path.name)}' is not a file")
    if path.stat().st_size > MAX_MEMBER_BYTES:
        raise RejectedPost("long_line", f"'{printable_name(path.name)}' is larger than 256 MiB")
    return path.read_bytes()


def _inside(root: Path, path: Path) -> Path:
    try:
        return contained(root, path.relative_to(root).as_posix())
    except OutsideFolder as error:
        raise RejectedPost(
            "outside_folder", f"'{printable_name(path.name)}' is a link that leads outside the folder"
        ) from error
