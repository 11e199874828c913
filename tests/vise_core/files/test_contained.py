"""No name in a spec or in a data file leads out of the folder that it belongs to."""

import csv
import io
import json
import os
import pickle
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from vise_core.errors import BadInput
from vise_core.files.names import contained, is_file
from vise_core.posts.check import PostChecker, Tally
from vise_core.posts.images.decode import open_image
from vise_core.posts.readers import READERS as POST_READERS
from vise_core.specs.base import Record, is_path_inside
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.stages import STAGES
from vise_core.specs.tasks.kinds import Task
from vise_core.tasks.labelled import READERS as TASK_READERS
from vise_core.tasks.labelled import load_task

NOT_PATHS = {
    *("id", "image", "comments", "text", "replies", "reactions", "haha", "sorry", "angry", "wow", "love"),
    *("encoding", "delimiter", "list", "url", "sha256", "row", "network", "file", "method", "name"),
    *("path_column", "label_column", "split_column", "text_column", "backbone", "format"),
}
"""Texts of specs that no file is opened by: dotted places in a row, names of columns, formats and methods. ``file`` is
compared with the names in a folder."""

PARTS = st.sampled_from(
    [
        "a",
        "b.txt",
        "..",
        ".",
        "",
        "link",
        "out",
        "\\",
        "..\\..",
        "C:",
        "\0",
        "\ud800",
        "é",
        "x" * 300,
        "y" * 200,
    ]
)


def text_fields(kind: Any, seen: set[type]) -> Iterator[tuple[str, Any]]:
    """(name, annotation with its constraints) of each field that holds text, in a spec and all its records."""
    if isinstance(kind, type) and issubclass(kind, Record):
        if kind in seen:
            return
        seen.add(kind)
        for name, entry in kind.model_fields.items():
            if str in parts_of(entry.annotation):
                yield (
                    name,
                    Annotated[(entry.annotation, *entry.metadata)] if entry.metadata else entry.annotation,
                )
            yield from text_fields(entry.annotation, seen)
        return
    for inner in get_args(kind):
        yield from text_fields(inner, seen)


def parts_of(annotation: Any) -> set[Any]:
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return {part for inner in get_args(annotation) for part in parts_of(inner)}
    return {annotation} if isinstance(annotation, type) else set()


def test_each_text_of_a_spec_is_a_path_inside_a_folder_or_no_path() -> None:
    found = [
        field
        for stage in STAGES.values()
        for field in text_fields(stage.spec, set())
        if field[0] not in NOT_PATHS
    ]
    assert {"posts", "images", "manifest"} == {name for name, _ in found}
    for name, annotation in found:
        for wrong in (
            "../a",
            "/etc/passwd",
            "a/../../b",
            "..\\a",
            "C:\\a",
            "C:/a",
            "a\0",
            "x" * 1001,
            "**/**/*.csv",
        ):
            assert not is_taken(annotation, wrong), f"{name} takes {wrong!r}"


def is_taken(annotation: Any, value: str) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a link to a file, and to a folder, outside of it."""
    root = tmp_path / "data"
    root.mkdir()
    (root / "b.txt").write_text("b")
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (root / "link").symlink_to(tmp_path / "secret.png")
    (root / "out").symlink_to(tmp_path)
    return root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PARTS, max_size=6).map("/".join))
def test_what_is_contained_lies_in_the_folder(folder: Path, name: str) -> None:
    try:
        path = contained(folder, name, "field")
    except BadInput as error:
        message = str(error)
    else:
        message = ""
        assert path.resolve().is_relative_to(folder)
        assert is_file(path) == (path.name == "b.txt" and path.exists())
    assert not message or message.startswith("field: '")
    assert is_path_inside(name) <= (".." not in name.replace("\\", "/").split("/"))


def test_a_path_longer_than_the_system_allows_is_named() -> None:
    with pytest.raises(BadInput, match=r"manifest: 'x/x/.*' cannot be used as a path .*too long"):
        contained(Path.cwd(), "x/" * 3000, "manifest")


opened: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and opened is not None and isinstance(arguments[0], str | bytes):
        opened.append(os.fsdecode(arguments[0]))


@contextmanager
def not_opened(path: Path) -> Iterator[None]:
    """Fail if the block opens this file, by any name."""
    global opened
    if not hasattr(sys, "_vise_hook"):
        sys.addaudithook(_hook)
        sys._vise_hook = True  # type: ignore[attr-defined]
    opened = []
    try:
        yield
    finally:
        names, opened = opened, None
    assert not [name for name in names if os.path.realpath(name) == str(path)]


def rows_of(name: str) -> list[dict[str, Any]]:
    return [
        {"id": "1", "image": name, "comments": ["x"]},
        {"id": "2", "image": "fine.png", "comments": ["x"]},
    ]


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def write_tar(root: Path, name: str) -> None:
    with tarfile.open(root / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.SYMTYPE, name
        tar.addfile(link)
        entry = tarfile.TarInfo("1.json")
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"{}"))


def write_linked(root: Path, name: str) -> None:
    with suppress(OSError, ValueError):
        (root / "1.png").symlink_to(name)
    (root / "1.json").write_text("{}")


POSTS: dict[str, Callable[[Path, str], Any]] = {
    "jsonl": lambda root, name: (root / "posts.jsonl").write_text("\n".join(map(json.dumps, rows_of(name)))),
    "json": lambda root, name: (root / "posts.json").write_text(json.dumps(rows_of(name))),
    "csv": lambda root, name: write_csv(
        root / "posts.csv", [{**row, "comments": "x"} for row in rows_of(name.replace("\0", "") or "x")]
    ),
    "parquet": lambda root, name: pq.write_table(pa.Table.from_pylist(rows_of(name)), root / "posts.parquet"),
    "webdataset": write_tar,
    "pictures": write_linked,
}


def politics(root: Path, name: str) -> None:
    lists = {"train_imgs": [f"imgs/LEFT/{name}", "imgs/RIGHT/fine.png"], "test_imgs": ["imgs/LEFT/fine.png"]}
    (root / "train_test_paths.pickle").write_bytes(pickle.dumps(lists, protocol=2))


def cub(root: Path, name: str) -> None:
    (root / "images").mkdir()
    (root / "images.txt").write_text(f"1 {name}\n2 fine.png\n")
    (root / "image_class_labels.txt").write_text("1 1\n2 2\n")
    (root / "train_test_split.txt").write_text("1 1\n2 0\n")


def memes(root: Path, name: str) -> None:
    for split in ("train", "dev"):
        rows = [
            {"id": f"{split}{n}", "img": image, "text": "", "label": n}
            for n, image in enumerate((name, "fine.png"))
        ]
        (root / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))


def classes(*folders: str) -> Callable[[Path, str], None]:
    def write(root: Path, name: str) -> None:
        for folder in folders:
            (root / folder).mkdir(parents=True)
            with suppress(OSError, ValueError):
                (root / folder / "1.png").symlink_to(name if name.startswith("/") else f"{root}/{name}")

    return write


LABELS: dict[str, Callable[[Path, str], Any]] = {
    "folder": classes("joy", "fear"),
    "unbiased_emotion": classes("joy", "fear"),
    "imagenet": classes("train/n01440764", "val/n01440764"),
    "csv": lambda root, name: write_csv(
        root / "labels.csv",
        [{"path": name.replace("\0", ""), "label": "x"}, {"path": "fine.png", "label": "y"}],
    ),
    "politics": politics,
    "hateful_memes": memes,
    "cub": cub,
}
WAYS_OUT = (
    "../secret.png",
    "link",
    "out/secret.png",
    "{secret}",
    "file://{secret}",
    "..\\secret.png",
    "a/../../secret.png",
    "\0../secret.png",
    "x" * 5000,
    "x/" * 3000,
)


@pytest.mark.parametrize("way", range(len(WAYS_OUT)))
@pytest.mark.parametrize("kind", POST_READERS)
def test_no_reader_of_posts_opens_a_file_outside(folder: Path, kind: str, way: int) -> None:
    secret = folder.parent / "secret.png"
    Image.new("RGB", (9, 9)).save(folder / "fine.png")
    POSTS[kind](folder, WAYS_OUT[way].format(secret=secret))
    tally = Tally()
    checker = PostChecker(
        IngestSpec.model_validate({"source": {"kind": kind}}), folder, tally, folder.parent / "seen.sqlite"
    )
    with not_opened(secret):
        list(checker.records())
    assert tally.rejected, "the row that leads out is rejected, and the reading goes on"


@pytest.mark.parametrize("way", range(len(WAYS_OUT)))
@pytest.mark.parametrize("kind", TASK_READERS)
def test_no_reader_of_tasks_opens_a_file_outside(folder: Path, kind: str, way: int) -> None:
    secret = folder.parent / "secret.png"
    Image.new("RGB", (9, 9)).save(folder / "fine.png")
    LABELS[kind](folder, WAYS_OUT[way].format(secret=secret))
    with not_opened(secret), suppress(BadInput):
        for path in load_task(TypeAdapter(Task).validate_python({"kind": kind}), folder).paths:
            open_image(path)
