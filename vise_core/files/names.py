"""Convert file names to text, and find the files that a data file names.

A file name is a sequence of bytes: it need not be UTF-8, and a name has several spellings in Unicode. Text that is
stored or shown (JSON, Parquet, PostgreSQL, logs, pages) goes through ``printable_name`` or ``printable_text``; names
in a CSV or JSON file are looked up with ``FileFinder``.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from vise_core.errors import BadInput

_UNPRINTABLE = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""Controls, line ends, marks that reverse the text behind them, and bytes that are not UTF-8 (as surrogates)."""

_STRANGE = re.compile(f"[{_UNPRINTABLE}]")
_AMBIGUOUS = re.compile(rf"\\(?=[\\xu{_UNPRINTABLE}])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
LONGEST_PATH, LONGEST_NAME = 4095, 255
"""Bytes of a path and of one of its parts, as Linux allows them."""


class OutsideFolder(BadInput):
    """A name leads out of its folder, directly or through a link."""


def printable_name(name: str | PurePath) -> str:
    r"""Return a file name as text; other characters are escaped, and different names stay different.

    A byte that is not UTF-8 becomes ``\xe9``, an unprintable character ``\u202e``. All kinds of spaces, emoji and
    accents are kept. A backslash is doubled only where it could be read as the start of an escape.
    """
    text = name if isinstance(name, str) else name.as_posix()
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return _STRANGE.sub(_escaped, _AMBIGUOUS.sub(r"\\\\", text))


def printable_text(text: str) -> str:
    """Escape NUL and surrogates, so that JSON, Parquet and PostgreSQL can store the text."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub(_escaped, text)


def storable(value: Any) -> Any:
    """Return a JSON value with ``printable_text`` applied to all texts and keys."""
    if isinstance(value, str):
        return printable_text(value)
    if isinstance(value, Mapping):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def plain_spelling(name: str) -> str:
    """Return a name in NFKC and without case, for comparison by appearance.

    Equal results look alike: ``Joy`` and ``joy``, or é as one character and as two.
    """
    return unicodedata.normalize("NFKC", name).casefold()


def lookalikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of different names that differ by Unicode normalisation or case only, sorted."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(plain_spelling(name), set()).add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def contained(folder: Path, name: str, where: str = "") -> Path:
    r"""Return ``folder / name`` with links resolved. Every name that a spec or a data file holds goes through here.

    A name may be absolute if it lies below the folder; ``\`` must not lead out either. The file need not exist.
    ``where`` begins the messages, such as ``source.images``. Raises OutsideFolder for a name that leads out of the
    folder, and BadInput for one that is no usable path: with NUL, half a character, a loop of links, or longer than a
    path may be.
    """
    top, shown = folder.resolve(), f"{where}: " * bool(where) + f"'{printable_name(name[:200])}'"
    try:
        if max(map(len, os.fsencode(name).split(b"/"))) > LONGEST_NAME:
            raise ValueError("its name is too long")
        path = (top / name).resolve()
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise ValueError("it is too long")
        places = {path, (top / name.replace("\\", "/")).resolve()}
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"{shown} cannot be used as a path ({error}); give the name of a file") from error
    if _DRIVE.match(name) or not all(place.is_relative_to(top) for place in places):
        raise OutsideFolder(f"{shown} leads out of the data set's folder; copy the file into it")
    return path


def is_file(path: Path) -> bool:
    """Return True for a plain file, False for any other path.

    Unlike ``Path.is_file``, it does so for a name that is too long, too.
    """
    return os.path.isfile(path)  # noqa: PTH113


MOST_FOLDERS = 10_000
"""Folders of which a ``FileFinder`` remembers that no link leads out."""


class FileFinder:
    """Finds the files that a data file names, below one folder.

    An exact match wins. Otherwise Windows separators, an absolute path that lies below the folder, and another
    Unicode normalisation are tried (a list in NFC beside files that macOS wrote in NFD).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = root.resolve()
        self._entries: dict[str, dict[str, list[str]]] = {}
        self._inside: dict[str, bool] = {}

    def find(self, name: str, bases: Sequence[str] = ("",)) -> str | None:
        """Return the file's path relative to the root, with forward slashes; None if there is no such file.

        ``bases``: folders, relative to the root, that the name may be relative to; the first that has the file wins.
        Raises OutsideFolder if the name, or a link on the way, leads out of the root.
        """
        path = self._below_bases(name, bases)
        if path is None and "\\" in name:
            path = self._below_bases(name.replace("\\", "/"), bases)
        return path

    def _below_bases(self, name: str, bases: Sequence[str]) -> str | None:
        if not name or "\0" in name:
            return None
        if name.startswith("/"):
            inside = next(
                (PurePosixPath(name).relative_to(top) for top in self._tops() if _is_below(name, top)), None
            )
            if inside is None:
                raise OutsideFolder(_outside(name))
            return self._find(inside.as_posix(), name)
        if _DRIVE.match(name):
            raise OutsideFolder(_outside(name))
        for base in bases:
            path = self._find(f"{base}/{name}" if base else name, name)
            if path is not None:
                return path
        return None

    def _tops(self) -> tuple[str, str]:
        return self._top.as_posix(), self.root.absolute().as_posix()

    def _find(self, relative: str, name: str) -> str | None:
        relative = os.path.normpath(relative)
        if relative == ".." or relative.startswith("../"):
            raise OutsideFolder(_outside(name))
        if not self._is_file(relative):
            # A name in ASCII has one spelling: a file that is missing costs no listing of its folder.
            spelled = None if relative.isascii() else self._spelled(relative)
            if spelled is None or not self._is_file(spelled):
                return None
            relative = spelled
        return relative

    def _is_file(self, relative: str) -> bool:
        """Return True for a file. Raises OutsideFolder if links lead out."""
        # Resolving links costs much, and a table may name a million files that are missing.
        if not os.path.lexists(f"{self._top}/{relative}") and self._is_inside(os.path.dirname(relative)):  # noqa: PTH120
            return False
        try:
            return is_file(contained(self._top, relative))
        except OutsideFolder:
            raise
        except BadInput:  # a name too long, half a character, a loop of links
            return False

    def _is_inside(self, folder: str) -> bool:
        """Return whether no link on the way to a folder leads out; remembered, so that many names share it."""
        if folder not in self._inside:
            if len(self._inside) >= MOST_FOLDERS:
                self._inside.clear()
            try:
                contained(self._top, folder or ".")
                self._inside[folder] = True
            except BadInput:
                self._inside[folder] = False
        return self._inside[folder]

    def _spelled(self, relative: str) -> str | None:
        """Return the path in the spelling of its folders, by NFC; None if a part is missing or ambiguous."""
        at = ""
        for part in relative.split("/"):
            same = self._listed(at).get(_composed(part), [])
            if part not in same and len(same) != 1:
                return None
            part = part if part in same else same[0]
            at = f"{at}/{part}" if at else part
        return at

    def _listed(self, folder: str) -> dict[str, list[str]]:
        """Return {name in NFC: original names} of a folder; empty if it is missing or outside."""
        if folder not in self._entries:
            listed: dict[str, list[str]] = {}
            place = self.root / folder
            try:
                if place.resolve().is_relative_to(self._top):
                    for entry in place.iterdir():
                        listed.setdefault(_composed(entry.name), []).append(entry.name)
            except (OSError, ValueError, RuntimeError):
                pass
            self._entries[folder] = listed
        return self._entries[folder]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_below(name: str, top: str) -> bool:
    return PurePosixPath(os.path.normpath(name)).is_relative_to(top)


def _outside(name: str) -> str:
    return f"'{printable_name(name)}' leads out of the data set's folder; copy the file into it"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # the byte that Python's file system decoder could not read
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
