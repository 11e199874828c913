"""Read posts from JSON lines: one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from vise_core.posts.fields.mapping import Mapping
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.sources import JsonlSource

from .images import ImageFinder
from .raw import MAX_TEXT, Notes, RawPost
from .text import encoding_of, files_of, opened, opened_text, shown


def read_jsonl(folder: Path, source: JsonlSource, notes: Notes) -> Iterator[RawPost]:
    """Yield a raw post for each line; skip blank lines."""
    images = ImageFinder(folder, source.images, Mapping(source.fields))
    for path in files_of(folder, source.posts, notes):
        for number, line in enumerate(
            _lines(path, encoding_of(path, source.encoding, notes, guess=False)), 1
        ):
            where = f"{shown(folder, path)}:{number}"
            if line is None:
                yield RawPost(
                    where, None, rejected=RejectedPost("long_line", "the line is longer than 64 MiB")
                )
            elif line.strip():
                yield json_post(where, line, path, images)


def json_post(where: str, text: bytes | str, path: Path, images: ImageFinder) -> RawPost:
    """Return the raw post of a JSON text."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return RawPost(where, None, rejected=RejectedPost("not_json", f"the line is not JSON ({error})"))
    return images.post(where, row, path)


def _lines(path: Path, encoding: str) -> Iterator[bytes | None]:
    """Yield lines as UTF-8 bytes, None for one that is too long."""
    if encoding in ("utf-8", "utf-8-sig"):
        with opened(path) as file:
            first = True
            while line := file.readline(MAX_TEXT + 1):
                if first:
                    line, first = line.removeprefix(b"\xef\xbb\xbf"), False
                    if not line:
                        break
                if len(line) <= MAX_TEXT:
                    yield line
                    continue
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_TEXT)
                yield None
        return
    with opened_text(path, encoding, "\n") as text:
        while part := text.readline(MAX_TEXT + 1):
            if len(part) <= MAX_TEXT:
                yield part.encode("utf-8", "surrogatepass")
                continue
            while part and not part.endswith("\n"):
                part = text.readline(MAX_TEXT)
            yield None
