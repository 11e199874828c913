"""Read Politics: images below imgs/LEFT and imgs/RIGHT, with published splits train and test.

The release has ``imgs/LEFT|RIGHT/<issue>/<source>/…`` and ``train_test_paths.pickle``. A manifest of path, label and
split can replace the pickle.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vise_core.errors import BadInput
from vise_core.files.names import printable_name
from vise_core.specs.base import is_path_inside
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import CsvTask, PoliticsTask
from vise_core.specs.tasks.splits import SplitName

from .csv_labels import read_csv_labels
from .files import list_file
from .plain_pickle import read_plain_pickle
from .records import Row

SIDES = TASKS["politics"].class_names or ()
PATH_COLUMNS = ("path", "local_path")
"""The second is that of the re-export, which also has a column topic and other delimiters."""

DELIMITERS = (",", ";", "|", "\t")
MAX_HEADER = 10_000


PICKLES = (".pickle", ".pkl")
RELEASED = "train_test_paths.pickle"
PARTS: tuple[tuple[SplitName, tuple[str, str]], ...] = (
    ("train", ("train_imgs", "train")),
    ("test", ("test_imgs", "test")),
)
"""Split → keys of its list of paths, in the release and in older copies."""

MAX_PICKLE_BYTES = 500_000_000
IMAGES = "imgs"


def read_politics(spec: PoliticsTask, folder: Path) -> list[Row]:
    """Return the rows of the released pickle or of the manifest, in its order; other columns are ignored.

    Raises BadInput as ``read_csv_labels`` does, and for a label that is not left or right.
    """
    manifest = spec.manifest
    if manifest is None and (folder / RELEASED).is_file():
        manifest = RELEASED
    manifest = manifest or _only_manifest(spec, folder)
    if manifest.lower().endswith(PICKLES):
        return _released_rows(spec, folder, manifest)
    path_column, delimiter = _dialect(spec, folder, manifest)
    table = CsvTask(name=spec.name, manifest=manifest, path_column=path_column, delimiter=delimiter)
    return [row._replace(label=_side(row)) for row in read_csv_labels(table, folder)]


def _released_rows(spec: PoliticsTask, folder: Path, name: str) -> list[Row]:
    path = list_file(folder, name, f"task {spec.name}: manifest")
    if path.stat().st_size > MAX_PICKLE_BYTES:
        raise BadInput(f"{name}: larger than {MAX_PICKLE_BYTES} bytes")
    lists = read_plain_pickle(path.read_bytes(), name)
    if not isinstance(lists, dict):
        raise BadInput(f"{name}: a dictionary with the lists train_imgs and test_imgs is expected")
    sides = _side_folders(folder)
    rows = []
    for split, keys in PARTS:
        key = next((key for key in keys if key in lists), None)
        paths = lists[key] if key is not None else None
        if not isinstance(paths, list) or not paths:
            raise BadInput(
                f"{name}: no list {' or '.join(keys)}; it has {', '.join(map(repr, list(lists)[:10])) or 'nothing'}"
            )
        for number, item in enumerate(paths):
            where = f"{name} {key}[{number}]"
            if not isinstance(item, str):
                raise BadInput(f"{where}: a path is expected, not a {type(item).__name__}")
            rows.append(_released_row(item, split, sides, where))
    return rows


def _released_row(path: str, split: SplitName, sides: dict[str, str], where: str) -> Row:
    """Return a row of the pickle; its label is the folder left or right, where the path begins."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    start = max((n + 1 for n, part in enumerate(parts) if part.lower() == IMAGES), default=0)
    side_at = next((n for n in range(start, len(parts)) if parts[n].lower() in SIDES), None)
    if side_at is None:
        raise BadInput(f"{where}: no folder left or right in '{printable_name(path)}'")
    side = parts[side_at].lower()
    inside = "/".join(parts[side_at + 1 :])
    return Row(f"{sides[side]}/{inside}" if side in sides else path, side, split, where=where)


def _side_folders(folder: Path) -> dict[str, str]:
    """Return {left, right: its folder, relative to the data set's}, in any case, below imgs/ or at the root."""
    places = [
        folder,
        *(entry for entry in folder.iterdir() if entry.is_dir() and entry.name.lower() == IMAGES),
    ]
    return {
        entry.name.lower(): entry.relative_to(folder).as_posix()
        for place in places
        for entry in place.iterdir()
        if entry.is_dir() and entry.name.lower() in SIDES
    }


def _only_manifest(spec: PoliticsTask, folder: Path) -> str:
    manifests = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.suffix.lower() in (".csv", ".tsv", ".txt")
        and not entry.name.startswith(".")
        and is_path_inside(entry.name)
    )
    if len(manifests) != 1:
        raise BadInput(
            f"task {spec.name}: {folder} holds {', '.join(manifests) or 'no .csv, .tsv or .txt file'}; exactly one manifest "
            f"with the columns path, label, split is expected, or {RELEASED}; name it with task.manifest"
        )
    return manifests[0]


def _dialect(spec: PoliticsTask, folder: Path, manifest: str) -> tuple[str, str]:
    """Return (column of paths, delimiter) of a manifest by its header."""
    path = list_file(folder, manifest, f"task {spec.name}: manifest")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline(MAX_HEADER).strip()
    for delimiter in DELIMITERS:
        columns = [column.strip('"') for column in header.split(delimiter)]
        paths = [name for name in PATH_COLUMNS if name in columns]
        if paths and {"label", "split"} <= set(columns):
            return paths[0], delimiter
    raise BadInput(
        f"{manifest}: the header is {header[:200]!r}; it must name path (or local_path), label and split, divided by "
        "a comma, semicolon, bar or tab"
    )


def _side(row: Row) -> str:
    label = (row.label or "").lower()
    if label not in SIDES:
        raise BadInput(f"{row.where}: label is {row.label!r}; one of {', '.join(SIDES)}")
    return label
