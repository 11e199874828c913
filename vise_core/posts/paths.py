"""Paths and names in a source of posts: files, images, web addresses, and system files."""

from __future__ import annotations

import re
from urllib.parse import unquote

from vise_core.errors import BadInput
from vise_core.files.names import printable_name

SYSTEM_FILES = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What systems add of their own; passed over without a word, as are names that start with ``._``."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class IsAddress(BadInput):
    """An image name is a web address, not a file."""


def is_system_file(name: str) -> bool:
    """Return True for files that macOS or Windows added (``__MACOSX/``, ``._x``, ``.DS_Store``)."""
    return any(part in SYSTEM_FILES or part.startswith("._") for part in name.replace("\\", "/").split("/"))


def as_text(name: str) -> str:
    """Return a file name as Unicode text that is usable as an id; other bytes are escaped."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return printable_name(name)
    return name


def file_name(name: str) -> str:
    """Return the path of a ``file://`` address; any other name is returned as it is.

    Raises IsAddress for a web address.
    """
    if not _ADDRESS.match(name):
        return name
    if not name.lower().startswith("file://"):
        raise IsAddress(f"'{printable_name(name)}' is an address; download the file and name it")
    host, slash, path = name[len("file://") :].partition("/")
    if host.lower() in ("", "localhost"):
        return unquote("/" + path)
    return unquote(f"{host}{slash}{path}")  # file://images/a.jpg: people write relative paths so
