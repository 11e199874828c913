"""Read posts from tables: CSV, TSV and Excel's variants of them."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from vise_core.errors import BadInput
from vise_core.files.names import printable_name
from vise_core.posts.fields.mapping import Mapping
from vise_core.posts.rejected import RejectedPost
from vise_core.specs.posts.sources import CsvSource

from .images import ImageFinder
from .raw import MAX_TEXT, Notes, RawPost
from .text import SAMPLE, encoding_of, files_of, is_whole, opened_text, shown

DELIMITERS = ",;\t|"
MOST_AGAIN = 64 * 2**20
"""Characters of a table that are read again after quotes that nothing closes, besides some times what was read."""
TIMES_AGAIN = 8
_EXCEL = "sep="
_SNIFFED_ROWS = 50


def read_csv(folder: Path, source: CsvSource, notes: Notes) -> Iterator[RawPost]:
    """Yield a raw post for each row; columns of the same name become a list. An empty cell is missing."""
    images = ImageFinder(folder, source.images, Mapping(source.fields))
    csv.field_size_limit(max(csv.field_size_limit(), MAX_TEXT))
    for path in files_of(folder, source.posts, notes, "posts.tsv"):
        name = shown(folder, path)
        encoding = encoding_of(path, source.encoding, notes, guess=True)
        delimiter = source.delimiter or sniff_delimiter(path, encoding)
        with opened_text(path, encoding, "") as file:
            yield from _rows(name, path, file, delimiter, images)


def sniff_delimiter(path: Path, encoding: str) -> str:
    """Return the delimiter that splits the first rows into the same number of cells (two or more), else a comma."""
    with opened_text(path, encoding, "") as file:
        sample = file.read(SAMPLE)
    if sample.startswith(_EXCEL) and sample[len(_EXCEL) + 1 : len(_EXCEL) + 2] in ("\r", "\n"):
        return sample[len(_EXCEL)]
    best, most = ",", (0.0, 1)
    for delimiter in DELIMITERS:
        rows = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        try:
            widths = [len(row) for row in islice(rows, _SNIFFED_ROWS) if row]
        except csv.Error:
            continue
        if len(widths) > 1 and len(sample) == SAMPLE:
            widths.pop()  # the sample may end inside a row
        if not widths or widths[0] < 2:
            continue
        score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
        if score > most:
            best, most = delimiter, score
    return best


def _rows(name: str, path: Path, file: IO[str], delimiter: str, images: ImageFinder) -> Iterator[RawPost]:
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next((cells for cells in reader if any(cells)), None)
        if header is not None and header[0].startswith(_EXCEL) and not any(header[1:]):
            header = next(reader, None)
    except (csv.Error, _LongLine) as error:
        raise BadInput(f"{name}: the first line is no row of column names ({error})") from error
    if header is None:
        raise BadInput(f"{name}: is empty")
    lines.done()
    columns = [column.strip() for column in header]
    if len(columns) < 2:
        raise BadInput(f"{name}: has one column, {printable_name(columns[0])[:80]!r}; set source.delimiter")
    while True:
        where = f"{name}:{lines.count + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _LongLine:
            yield RawPost(
                where, None, rejected=RejectedPost("long_line", "the line is longer than 64 Mi characters")
            )
            lines.done()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        except csv.Error as error:
            # A quote that nothing closes takes what follows with it: only its own line is rejected.
            if not lines.back():
                raise BadInput(
                    f"{name}: too many quotes that nothing closes; check its quotes, or set source.delimiter"
                ) from error
            yield RawPost(
                where,
                None,
                rejected=RejectedPost("bad_row", f"the row is not CSV: {error}; check its quotes"),
            )
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        lines.done()
        if not any(cell.strip() for cell in cells):
            continue
        yield _row(where, path, columns, cells, images)


def _row(where: str, path: Path, columns: list[str], cells: list[str], images: ImageFinder) -> RawPost:
    if len(cells) != len(columns):
        message = f"the row has {len(cells)} cells, the first line names {len(columns)} columns"
        return RawPost(where, None, rejected=RejectedPost("bad_row", message))
    if not all(map(is_whole, cells)):
        message = "the row has characters that are not of the file's encoding; set source.encoding"
        return RawPost(where, None, rejected=RejectedPost("bad_encoding", message))
    row: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        value = cell if cell.strip() else None
        if column not in row:
            row[column] = value
        elif isinstance(row[column], list):
            row[column].append(value)
        else:
            row[column] = [row[column], value]
    return images.post(where, row, path)


class _LongLine(Exception):
    """A line is longer than the limit; the rest of it was skipped."""


class _Lines:
    """Iterates over the lines of a file and counts them. Raises _LongLine for a long line, then continues behind it.

    The lines of a row are kept until ``done``, so that ``back`` can yield all but the first again. A row of several
    lines has at most ``MAX_TEXT`` characters; beyond, csv.Error is raised.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._row: list[str] = []
        self._size = 0
        self._again: deque[str] = deque()
        self._read = self._reread = 0
        self.count = 0

    def done(self) -> None:
        """Mark the current row as read."""
        self._row.clear()
        self._size = 0

    def back(self) -> bool:
        """Move back behind the first line of the row.

        Returns False once too much has been read again: lines that each open a quote would take a time that grows with
        the square of their number.
        """
        again = self._row[1:]
        self._again.extendleft(reversed(again))
        self._reread += sum(map(len, again))
        self.count -= len(again)
        self.done()
        return self._reread <= MOST_AGAIN + TIMES_AGAIN * self._read

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        else:
            line = self._file.readline(MAX_TEXT + 1)
            self._read += len(line)
        if not line:
            raise StopIteration
        self.count += 1
        if len(line) <= MAX_TEXT:
            self._row.append(line)
            self._size += len(line)
            if len(self._row) > 1 and self._size > MAX_TEXT:
                raise csv.Error(f"it goes over more than {MAX_TEXT:,} characters")
            return line
        while line and not line.endswith(("\n", "\r")):
            line = self._file.readline(MAX_TEXT)
        raise _LongLine
