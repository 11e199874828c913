"""Posts that a run excludes: a list of ids, or the findings of the stage ``integrity``."""

from __future__ import annotations

import csv
import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput
from vise_core.formats.post import post_key
from vise_core.reporter import Reporter

COLUMNS = ("id", "post_id")
KEY = "posts_to_exclude"
"""Entry of integrity.json with the ids of all posts that are copies of test images."""
MAX_BYTES = 4 * 2**30
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson", ".json")


def excluded_keys(path: Path | None) -> frozenset[str]:
    """Return the keys of the posts that the input ``exclude`` names; empty without that input.

    Raises BadInput as ``read_ids`` does.
    """
    if path is None:
        return frozenset()
    facts = _list_file(path).stat()
    # The change time too: a modification time can be set back.
    return _keys(path, (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))


@lru_cache(maxsize=2)
def _keys(path: Path, _state: tuple[int, ...]) -> frozenset[str]:
    return frozenset(map(post_key, read_ids(path)))


def log_exclusions(reporter: Reporter, named: int, matched: int) -> int:
    """Log what the input ``exclude`` did; returns how many of its ids match no post."""
    reporter.log(
        f"the input exclude names {named} posts; {matched} of them are among these posts and left out"
    )
    if named > matched:
        reporter.log(
            f"{named - matched} ids of the input exclude match no post; are they ids of these posts?",
            level="warning",
        )
    return named - matched


def read_ids(path: Path) -> list[str]:
    """Return the distinct post ids of a list file, in order.

    ``path`` is a file, or a folder that holds one: .txt with an id a line, .csv or .tsv with a column ``id`` or
    ``post_id``, .jsonl or .json with ids or objects that have one, or integrity.json. Raises BadInput, naming the file
    and line, if the file is missing, too large, not UTF-8, or a line holds no id.
    """
    file = _list_file(path)
    if file.stat().st_size > MAX_BYTES:
        raise BadInput(f"{file.name}: larger than {MAX_BYTES:,} bytes; a list of post ids is expected")
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file.name}: not UTF-8 text (byte {error.start}); save the list as UTF-8") from error
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES and text.lstrip()[:1] in ("{", "["):
        suffix = ".json"
    if suffix in (".csv", ".tsv"):
        ids = _of_table(file.name, text, "\t" if suffix == ".tsv" else None)
    elif suffix in (".jsonl", ".ndjson"):
        lines = ((n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip())
        ids = [_id(_json(line, f"{file.name}, line {n}"), f"{file.name}, line {n}") for n, line in lines]
    elif suffix == ".json":
        ids = _of_json(file.name, _json(text, file.name))
    else:
        ids = [line.strip() for line in text.split("\n") if line.strip()]
    for number, post_id in enumerate(ids, 1):
        if not post_id.isascii() and any("\ud800" <= c <= "\udfff" for c in post_id):
            raise BadInput(f"{file.name}, id {number}: {post_id!r:.100} is no Unicode text")
    return list(dict.fromkeys(ids))


def _list_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(
        p
        for p in path.iterdir()
        if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    if len(files) != 1:
        names = ", ".join(file.name for file in files[:5]) or "none"
        raise BadInput(
            f"exclude: {path.name} must hold one list of post ids ({', '.join(SUFFIXES)}); found {names}"
        )
    return files[0]


def _of_table(name: str, text: str, delimiter: str | None) -> list[str]:
    head = text.partition("\n")[0]
    separator = delimiter or max(",;\t", key=head.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=separator)
    try:
        header = rows.fieldnames or ()
    except csv.Error as error:
        raise BadInput(f"{name}, line 1: {error}") from error
    names = {str(column).strip().lower(): column for column in header if column is not None}
    column = next((names[known] for known in COLUMNS if known in names), None)
    if column is None:
        raise BadInput(
            f"{name}: no column named id or post_id; it has {', '.join(names) or 'no header'}. Name the column of the "
            "post ids so"
        )
    ids = []
    try:
        for row in rows:
            if not (value := (row[column] or "").strip()):
                raise BadInput(f"{name}, line {rows.line_num}: no id")
            ids.append(value)
    except csv.Error as error:
        raise BadInput(f"{name}, line {rows.line_num}: {error}") from error
    return ids


def _of_json(name: str, content: Any) -> list[str]:
    if isinstance(content, dict):
        if KEY not in content:
            raise BadInput(
                f"{name}: neither a list of post ids nor a result of integrity with one ({KEY}); run integrity again, "
                "with the input posts"
            )
        content = content[KEY]
    if not isinstance(content, list):
        raise BadInput(f"{name}: a list of post ids is expected, found {type(content).__name__}")
    return [_id(entry, f"{name}, entry {number}") for number, entry in enumerate(content, 1)]


def _id(entry: Any, where: str) -> str:
    if isinstance(entry, dict):
        entry = next((entry[column] for column in COLUMNS if column in entry), None)
    if isinstance(entry, bool) or not isinstance(entry, str | int) or entry == "":
        raise BadInput(f"{where}: no post id (a text, a number, or an object with id or post_id)")
    return str(entry)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON ({error})") from error
