"""Which layout the files of a folder have, told by names alone."""

from __future__ import annotations

import csv
from pathlib import Path

from vise_core.posts.peek import guess_source
from vise_core.specs.data import DataKind, Layout
from vise_core.specs.images import is_image_name
from vise_core.specs.posts import EMOTIONS

WEIGHT_SUFFIXES = frozenset({".pth", ".pt", ".safetensors", ".pkl", ".bin", ".tar"})


def unwrapped(folder: Path) -> Path:
    """The folder, or the only one in it: archives mostly hold one folder with all the rest."""
    while True:
        inside = sorted(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        folder = inside[0]


def recognise(folder: Path, kind: DataKind) -> Layout:
    """The layout of the files; ``unknown`` where none fits."""
    if kind == "posts":
        return _posts(folder)
    names = {path.name for path in folder.iterdir()}
    if kind == "weights":
        found = any(path.suffix in WEIGHT_SUFFIXES for path in folder.rglob("*"))
        return "weights" if found else "unknown"
    return _images(folder, names)


def _posts(folder: Path) -> Layout:
    if (unwrapped(folder) / "index.json").is_file() and any(unwrapped(folder).glob("shard-*.tar")):
        return "shards"
    guessed = guess_source(folder)
    return guessed["kind"] if guessed is not None else "unknown"


def _images(folder: Path, names: set[str]) -> Layout:
    if {"images.txt", "train_test_split.txt"} <= names:
        return "cub"
    if "train.jsonl" in names and "img" in names:
        return "hateful_memes"
    if {"train", "val"} <= names and _holds_wnids(folder / "train"):
        return "imagenet"
    if "labels.csv" in names:
        return "csv"
    lists = [path for path in folder.iterdir() if path.suffix in (".csv", ".tsv", ".txt") and path.is_file()]
    if len(lists) == 1 and {"label", "split"} <= _columns(lists[0]):
        return "politics"
    classes = {path.name for path in folder.iterdir() if path.is_dir() and _holds_images(path)}
    if set(EMOTIONS) <= classes and classes <= {*EMOTIONS, "masks"}:
        return "unbiased_emotion"
    return "folder" if classes else "unknown"


def _holds_images(folder: Path) -> bool:
    return any(is_image_name(path.name) for path in folder.rglob("*"))


def _holds_wnids(folder: Path) -> bool:
    first = (
        next((path.name for path in sorted(folder.iterdir()) if path.is_dir()), "") if folder.is_dir() else ""
    )
    return len(first) == 9 and first.startswith("n") and first[1:].isdecimal()


def _columns(path: Path) -> set[str]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        head = file.readline(10_000)
    delimiter = next((d for d in ",;|\t" if d in head), ",")
    return {name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])}
