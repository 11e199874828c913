"""Guess the format of a list of labelled images: encoding, delimiter, header, and the role of each column.

The best guess is the one that names the most existing files.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from charset_normalizer import from_bytes

from vise_core.files.names import FileFinder, OutsideFolder, printable_name
from vise_core.specs.base import is_path_inside
from vise_core.specs.posts.images import is_image_name
from vise_core.specs.tasks.kinds import CsvTask
from vise_core.tasks.files import is_hidden
from vise_core.tasks.split_names import SPLIT_NAMES

LISTS = (".csv", ".tsv", ".txt", ".tab")
DELIMITERS = (",", "\t", ";", "|", " ")
PREFIX = 256 * 1024
ROWS, CHECKED = 500, 40
MOST_LISTS, MOST_FOLDERS, MOST_COLUMNS = 20, 20, 1000
FALLBACKS = ("cp1252", "cp932", "gb18030", "cp1251", "mac_roman", "latin-1")
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_FLAGS = frozenset({"0", "1", "0.0", "1.0"})
_ACCENT = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")

PATHS = ("path", "local_path", "image_path", "img_path", "file_path", "filepath", "filename", "file_name", "file", "image",
         "image_name", "img", "image_id", "name")  # fmt: skip
LABELS = (
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "category",
    "emotion",
    "sentiment",
    "target",
    "y",
    "tag",
)
SPLITS = ("split", "set", "subset", "partition", "part", "usage", "fold", "phase")
TEXTS = ("text", "sentence", "caption", "tweet", "comment", "title", "description", "ocr_text")
"""Usual names of columns, the likeliest first; they are compared in lower case."""


@dataclass
class Proposal:
    """A way to read a list, in which ``existing`` of ``checked`` rows name an existing file."""

    task: CsvTask
    existing: int
    checked: int
    named: int = 0
    labels: frozenset[str] = frozenset()

    @property
    def rank(self) -> tuple[float, int, int]:
        """Key by which proposals are compared; the largest is best."""
        return (self.existing / max(1, self.checked), self.named, self.existing)


@dataclass
class _Table:
    """Rows of equal width. ``first`` is the first line, which may be a header."""

    first: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def column(self, number: int) -> list[str]:
        return [row[number].strip() for row in self.rows if row[number].strip()]


def propose_csv(root: Path) -> Proposal | None:
    """Return the best way to read a list at the root or in a subfolder; None where no list names images and labels."""
    finder, folders = FileFinder(root), _image_folders(root)
    proposals = [proposal for path in _lists(root) for proposal in _proposals(root, path, finder, folders)]
    return max(proposals, key=lambda proposal: proposal.rank, default=None)


def other_lists(root: Path, manifest: str) -> list[str]:
    """Return the lists beside the manifest that also name images."""
    finder, folders = FileFinder(root), _image_folders(root)
    return [
        printable_name(path.relative_to(root))
        for path in _lists(root)
        if path.relative_to(root).as_posix() != manifest
        and any(proposal.existing for proposal in _proposals(root, path, finder, folders))
    ]


def _lists(root: Path) -> list[Path]:
    places = [
        root,
        *(entry for entry in sorted(root.iterdir()) if entry.is_dir() and not is_hidden(entry.name)),
    ]
    lists = [
        path
        for place in places[:MOST_FOLDERS]
        for path in sorted(place.iterdir())
        if path.suffix.lower() in LISTS
        and is_path_inside(path.name)
        and not is_hidden(path.name)
        and path.is_file()
        and not path.is_symlink()
    ]
    return sorted(lists, key=lambda path: (path.parent != root, path.name.lower() != "labels.csv"))[
        :MOST_LISTS
    ]


def _image_folders(root: Path) -> list[str]:
    """Return folders with images, relative to the root, the shallowest first: bases for relative file names."""
    image_folders: list[str] = []
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        relative = Path(parent).relative_to(root)
        if len(relative.parts) >= 3:
            folders.clear()
        if (
            is_path_inside(relative.as_posix())
            and relative.parts
            and (folders or any(is_image_name(name) for name in files))
        ):
            image_folders.append(relative.as_posix())
        if len(image_folders) > MOST_FOLDERS:
            break
    return sorted(image_folders, key=lambda name: name.count("/"))[:MOST_FOLDERS]


def _proposals(root: Path, path: Path, finder: FileFinder, folders: Sequence[str]) -> Iterator[Proposal]:
    size = path.stat().st_size
    with path.open("rb") as file:
        data = file.read(PREFIX)
    for encoding in _encodings(path, data):
        text = _decoded(data, encoding, whole=size <= len(data))
        if text is None:
            continue
        for delimiter in DELIMITERS:
            table = _table(text, delimiter, whole=size <= len(data))
            proposal = table and _columns(table, root, path, finder, folders)
            if proposal:
                changes = {"delimiter": delimiter, "encoding": encoding}
                proposal.task = proposal.task.model_copy(update=changes)
                yield proposal


def _encodings(path: Path, data: bytes) -> list[str]:
    """Return encodings to try, the likeliest first; only one where the bytes are unambiguous."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return [encoding]
    zeros = data.count(0)
    if zeros > len(data) // 8:  # UTF-16 without a mark: every second byte of plain text is zero
        return ["utf-16-le" if data[1::2].count(0) >= zeros // 2 else "utf-16-be"]
    if _is_utf8(path):
        return ["utf-8"]
    if _holds_kana(data):
        return ["cp932", *FALLBACKS]
    best = from_bytes(data).best()
    guessed = [best.encoding] if best is not None and best.encoding not in ("ascii", "utf_8") else []
    # Accented letters stand alone between plain ones; in other scripts bytes beyond ASCII stand together. A guess from
    # a few accents is a poor one.
    western = len(_ACCENT.findall(data)) > len(_BEYOND_ASCII.findall(data)) / 2
    return list(dict.fromkeys(["cp1252", *guessed, *FALLBACKS] if western else [*guessed, *FALLBACKS]))


def _holds_kana(data: bytes) -> bool:
    """Return True for Shift-JIS with kana, which text in another encoding never looks like."""
    try:
        text = codecs.getincrementaldecoder("cp932")().decode(data)
    except UnicodeDecodeError:
        return False
    return _KANA.search(text) is not None


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(2**20):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(data: bytes, encoding: str, *, whole: bool) -> str | None:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return None
    return text.removeprefix("\ufeff")


def _table(text: str, delimiter: str, *, whole: bool) -> _Table | None:
    """Return the first rows, if they have two columns or more and the same width."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if any(value.strip() for value in row):
                rows.append(row)
            if len(rows) > ROWS:
                break
        else:
            if not whole and rows:
                rows.pop()  # cut in the middle
    except csv.Error:
        if whole or len(rows) < 2:
            return None
    if not rows or len(rows[0]) < 2:
        return None
    width = len(rows[0])
    alike = [row[:MOST_COLUMNS] for row in rows[1:] if len(row) == width]
    if len(alike) < 0.9 * (len(rows) - 1):
        return None
    return _Table([value.strip() for value in rows[0][:MOST_COLUMNS]], alike)


def _columns(
    table: _Table, root: Path, path: Path, finder: FileFinder, folders: Sequence[str]
) -> Proposal | None:
    lower = [name.lower() for name in table.first]
    located = _path_column(table, lower, path.parent.relative_to(root).as_posix(), finder, folders)
    if located is None:
        return None
    number, base, existing, checked = located
    first = table.first[number]
    header = not is_image_name(first) and _find(finder, first, base) is None
    if not header:
        table.rows.insert(0, table.first)
        lower = [""] * len(lower)
    names = table.first if header else [str(n) for n in range(1, len(lower) + 1)]
    free = [n for n in range(len(lower)) if n != number]
    split = _split_column(table, lower, free)
    free = [n for n in free if n != split]
    text = next((n for name in TEXTS for n in free if lower[n] == name), None)
    label = _label_column(table, lower, [n for n in free if n != text])
    if label is None:
        return None
    parent = path.parent.relative_to(root).as_posix()
    if len(set(names)) < len(names) and len({names[n] for n in (number, label)}) < 2:
        return None
    task = CsvTask(
        manifest=path.relative_to(root).as_posix(),
        header=header,
        images="" if base in ("", parent) else base,
        path_column=names[number],
        label_column=names[label],
        # The default is read where the file has it: a column of that name that holds no splits is passed over.
        split_column=names[split] if split is not None else None if "split" in names else "split",
        text_column=None if text is None else names[text],
    )
    known = int(lower[number] in PATHS) + int(lower[label] in LABELS)
    return Proposal(task, existing, checked, known, frozenset(value.lower() for value in table.column(label)))


def _path_column(
    table: _Table, lower: Sequence[str], parent: str, finder: FileFinder, folders: Sequence[str]
) -> tuple[int, str, int, int] | None:
    """Return (column, base folder, rows with a file, rows checked) of the column that names the most files."""
    best: tuple[int, str, int, int] | None = None
    bases = list(dict.fromkeys(["", "" if parent == "." else parent, *folders]))
    for number in range(len(table.first)):
        values = table.column(number) or [table.first[number]]
        step = max(1, len(values) // CHECKED)
        checked = values[::step][:CHECKED]
        for base in bases:
            existing = sum(_find(finder, value, base) is not None for value in checked)
            if existing and (best is None or existing / len(checked) > best[2] / best[3]):
                best = number, base, existing, len(checked)
            if existing == len(checked):
                break
    if best is not None:
        return best
    named = [n for name in PATHS for n, own in enumerate(lower) if own == name]
    likely = next((n for n in named if any(is_image_name(value) for value in table.column(n))), None)
    return None if likely is None else (likely, "", 0, min(CHECKED, len(table.rows)))


def _find(finder: FileFinder, name: str, base: str) -> str | None:
    try:
        return finder.find(name.strip().removeprefix("./"), (base,))
    except OutsideFolder:
        return None


def _split_column(table: _Table, lower: Sequence[str], free: Sequence[int]) -> int | None:
    """Return the column whose values are names of splits; without a telling name, at least two kinds of them."""
    held = {n: {value.lower() for value in table.column(n)} for n in free}
    fits = [n for n in free if held[n] and held[n] <= SPLIT_NAMES.keys()]
    named = [n for name in SPLITS for n in fits if lower[n] == name]
    return next(iter([*named, *(n for n in fits if len(held[n]) > 1)]), None)


def _label_column(table: _Table, lower: Sequence[str], free: Sequence[int]) -> int | None:
    """Return the label column, by its name, else by the fewest distinct values, two or more and each repeated."""
    named = [n for name in LABELS for n in free if lower[n] == name]
    part = [n for n in free if any(word in lower[n] for word in ("label", "class", "emotion", "categor"))]
    if named or part:
        return (named or part)[0]
    distinct = {n: len(Counter(table.column(n))) for n in free}
    able = [n for n in free if 2 <= distinct[n] <= max(2, len(table.rows) // 2)]
    if len(able) > 1 and all(set(table.column(n)) <= _FLAGS for n in able):
        return None  # a column for each class: any one of them would be the wrong label
    return min(able, key=lambda n: distinct[n], default=None)
