"""Check names of archive members: whether they stay inside the folder, and how to write them."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from vise_core.errors import BadInput
from vise_core.files.names import printable_name

LONGEST_NAME, DEEPEST = 255, 32
HIDDEN = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What systems add of their own; left out without a word."""

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075
"""Extra field of a zip entry with its name in UTF-8 (Info-ZIP)."""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")


class BadArchive(BadInput):
    """An archive is refused. The message names the member."""


class StrangeName(BadInput):
    """A member is rejected for its name alone. ``reason`` is a slug for counts."""

    def __init__(self, name: str, reason: str, message: str) -> None:
        super().__init__(f"'{name}' {message}")
        self.name, self.reason = name, reason


class MemberName(NamedTuple):
    """The path of a member, relative to the folder; ``escaped`` if its original name is not UTF-8."""

    path: PurePosixPath
    escaped: bool


def member_name(archive: str, name: str) -> MemberName | None:
    """Return the path to write a member to; None for system files.

    Spaces, accents, emoji, dots and reserved words of Windows are kept. A byte that is not UTF-8 is written as
    ``%E9``, so that the name is valid text. Raises BadArchive for a name that leads out of the folder, and
    StrangeName for one that no folder should hold: control characters, too long, too deep.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "."]
    shown = printable_name(name[:200])
    if path.is_absolute() or ".." in parts or not parts or _DRIVE.match(name):
        raise BadArchive(f"{archive}: the member '{shown}' would leave its folder, or has no usable name")
    if any(part in HIDDEN or part.startswith("._") for part in parts):
        return None
    written = [_utf8(part) for part in parts]
    if len(parts) > DEEPEST:
        raise StrangeName(shown, "too_deep", f"lies more than {DEEPEST} folders deep")
    if any(_has_control(part) for part in parts):
        raise StrangeName(shown, "control_character", "has a control character in its name")
    if any(len(part.encode()) > LONGEST_NAME for part in written):
        raise StrangeName(shown, "name_too_long", f"has a name of more than {LONGEST_NAME} bytes")
    return MemberName(PurePosixPath(*written), written != parts)


def zip_names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Return the names of a zip's entries, in order.

    A zip marks names that are UTF-8; others are code page 437 by the standard. Unmarked names that are valid UTF-8
    (as macOS writes them) are read as UTF-8, the extra field of Info-ZIP is respected, and Shift-JIS is recognised by
    its kana if all unmarked names decode. Names in other code pages stay distinct, but look wrong.
    """
    raw = {
        position: info.orig_filename.encode("cp437")
        for position, info in enumerate(entries)
        if not info.flag_bits & UTF8_FLAG and not info.orig_filename.isascii()
    }
    if not raw:
        return [info.orig_filename for info in entries]
    whole = b"\n".join(raw.values())
    names = [info.orig_filename for info in entries]
    encoding = next((name for name in ("utf-8", "cp932") if _fits(whole, name)), "cp437")
    for position, data in raw.items():
        names[position] = _unicode_path(entries[position], data) or _decoded(data, encoding)
    return names


def _fits(data: bytes, encoding: str) -> bool:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return encoding == "utf-8" or _KANA.search(text) is not None


def _decoded(data: bytes, encoding: str) -> str:
    for candidate in ("utf-8", encoding):
        try:
            return data.decode(candidate)
        except UnicodeDecodeError:
            continue
    return data.decode("cp437")


def _unicode_path(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    """Return the name in the extra field, if it belongs to this name."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if (
            kind == UNICODE_PATH
            and len(field) > 5
            and int.from_bytes(field[1:5], "little") == zlib.crc32(raw)
        ):
            try:
                return field[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None


def _utf8(part: str) -> str:
    """Return the name with each byte that is not UTF-8 as ``%E9``."""
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in part)


def _has_control(part: str) -> bool:
    """Return True for control characters and lone surrogates, which no file system holds."""
    return any(
        c < " " or "\x7f" <= c <= "\x9f" or c in "\u2028\u2029" or "\ud800" <= c < "\udc80" for c in part
    )
