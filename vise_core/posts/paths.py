"""From a name in a data file to a file below a folder; for posts and labelled sets alike.

``locate`` finds the file however its name was written: Windows separators, ``file://``, another Unicode
normalisation than the file system's. Nothing outside the folder is ever found: links are resolved first.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from vise_core.errors import BadInput

SYSTEM_FILES = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What systems add of their own; passed over without a word, as are names that start with ``._``."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"/?[A-Za-z]:[\\/]")


class OutsideFolder(BadInput):
    """A name leads out of the folder that it must stay in."""


class IsAddress(BadInput):
    """A name is an address on the web, not a file."""


def is_system_file(name: str) -> bool:
    """Whether a path below a folder is one that macOS or Windows added (``__MACOSX/``, ``._x``, ``.DS_Store``)."""
    return any(part in SYSTEM_FILES or part.startswith("._") for part in name.replace("\\", "/").split("/"))


def escaped(name: str) -> str:
    """A name that any log, database and page can show: bytes that are not UTF-8 and control characters escaped."""
    text = name.encode("utf-8", "surrogateescape" if _only_bytes(name) else "backslashreplace")
    shown = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def as_text(name: str) -> str:
    """The name itself where it is Unicode text, else escaped: usable as an id."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return escaped(name)
    return name


def contained(folder: Path, name: str, field: str) -> Path:
    """``folder / name`` after links, for a path that a spec's ``field`` names. Raises OutsideFolder."""
    root = folder.resolve()
    try:
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"{field}: {escaped(name)!r} cannot be used as a path ({error})") from error
    if "\0" in name or not path.is_relative_to(root):
        raise OutsideFolder(
            f"{field}: {escaped(name)!r} leads outside the folder of the data; name a path in it"
        )
    return path


def locate(name: str, bases: Sequence[Path], root: Path) -> Path:
    """The file that a data file calls ``name``: the first that is there, else where it was looked for first.

    Parameters
    ----------
    name: as it stands in the data: relative, absolute, ``file://``, with ``/`` or ``\\``.
    bases: resolved folders that a relative name may start from, in order; each contains what is found from it.
    root: the resolved folder of the data. An absolute name must lie in it.

    Raises OutsideFolder, IsAddress, or BadInput for what is no path at all.
    """
    if not name or "\0" in name:
        raise BadInput(f"{escaped(name)!r} names no file")
    if name.lower().startswith("file://"):
        name = _of_file_address(name)
    elif _ADDRESS.match(name):
        raise IsAddress(f"{escaped(name)!r} is an address; download the file and name it")
    first: Path | None = None
    for written in dict.fromkeys((name, name.replace("\\", "/"))):
        for base, below in _starts(written, bases, root):
            if (path := _inside(base, below)) is None:
                continue
            found = _as_on_disk(base, below)
            if found is not None and (found := _inside(base, found)) is not None:
                return found
            first = first or path
    if first is None:
        raise OutsideFolder(f"{escaped(name)!r} leads outside the folder")
    return first


def _starts(name: str, bases: Sequence[Path], root: Path) -> Iterator[tuple[Path, str]]:
    """(base, name below it); an absolute name that is not in the root has none."""
    if _DRIVE.match(name):
        return
    if not name.startswith("/"):
        yield from ((base, name) for base in dict.fromkeys(bases))
        return
    path = Path(os.path.normpath(name))
    for start in (path, Path(os.path.realpath(path))):
        if start.is_relative_to(root):
            yield root, start.relative_to(root).as_posix()
            return


def _inside(base: Path, below: str) -> Path | None:
    try:
        path = (base / below).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"{escaped(below)!r} cannot be found ({error})") from error
    return path if path.is_relative_to(base) else None


def _as_on_disk(base: Path, below: str) -> str | None:
    """``below`` as the file system spells it, None where there is no such file."""
    try:
        if (base / below).exists():
            return below
    except OSError:  # a name that is too long, or a folder that may not be read
        return None
    if below.isascii():
        return None
    place, parts = base, []
    for part in Path(below).parts:
        spelled = next((form for form in _forms(part) if (place / form).exists()), None)
        spelled = spelled or _mixed_names(str(place), place.stat().st_mtime_ns).get(
            unicodedata.normalize("NFC", part)
        )
        if spelled is None:
            return None
        parts.append(spelled)
        place = place / spelled
    return "/".join(parts)


def _forms(part: str) -> tuple[str, ...]:
    return part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part)


@lru_cache(maxsize=64)
def _mixed_names(folder: str, _: int) -> dict[str, str]:
    """NFC form → name, of the entries of a folder that are neither NFC nor NFD throughout: few or none.

    The second argument is the folder's mtime, so that a changed folder is listed again.
    """
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except OSError:
        return {}
    return {
        unicodedata.normalize("NFC", name): name
        for name in names
        if not name.isascii() and name not in _forms(name)[1:]
    }


def _of_file_address(name: str) -> str:
    """The path of ``file:///path``, ``file://localhost/path``; anything after another host is outside."""
    host, slash, path = name[len("file://") :].partition("/")
    if host.lower() not in ("", "localhost"):
        # file://images/a.jpg: people write relative paths so.
        return unquote(f"{host}{slash}{path}")
    return unquote("/" + path)


def _only_bytes(name: str) -> bool:
    """Whether the surrogates of a name, if any, stand for bytes of a file name that is not UTF-8."""
    return all(not 0xD800 <= ord(c) <= 0xDFFF or 0xDC80 <= ord(c) <= 0xDCFF for c in name)
