"""Names that a source of posts holds: of its own files, of images, and of what systems leave beside them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from vise_core.errors import BadInput
from vise_core.files.names import OutsideFolder, printable_name

SYSTEM_FILES = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What systems add of their own; passed over without a word, as are names that start with ``._``."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class IsAddress(BadInput):
    """A name is an address on the web, not a file."""


def is_system_file(name: str) -> bool:
    """Whether a path below a folder is one that macOS or Windows added (``__MACOSX/``, ``._x``, ``.DS_Store``)."""
    return any(part in SYSTEM_FILES or part.startswith("._") for part in name.replace("\\", "/").split("/"))


def as_text(name: str) -> str:
    """The name itself where it is Unicode text, else escaped: usable as an id."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return printable_name(name)
    return name


def contained(folder: Path, name: str, field: str) -> Path:
    """``folder / name`` after links, for a path that a spec's ``field`` names. Raises OutsideFolder, BadInput."""
    root = folder.resolve()
    try:
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"{field}: '{printable_name(name)}' cannot be used as a path ({error})") from error
    if not path.is_relative_to(root):
        raise OutsideFolder(
            f"{field}: '{printable_name(name)}' leads out of the folder of posts; name a path inside it"
        )
    return path


def file_name(name: str) -> str:
    """The path of a ``file://`` address, any other name as it is. Raises IsAddress for an address on the web."""
    if not _ADDRESS.match(name):
        return name
    if not name.lower().startswith("file://"):
        raise IsAddress(f"'{printable_name(name)}' is an address; download the file and name it")
    host, slash, path = name[len("file://") :].partition("/")
    if host.lower() in ("", "localhost"):
        return unquote("/" + path)
    return unquote(f"{host}{slash}{path}")  # file://images/a.jpg: people write relative paths so
