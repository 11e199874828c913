"""Which server to use, and with which token: of the environment, of ``vise up`` in this folder, or of the last login."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .client import ViseClient
from .errors import ClientError

LOCAL = "local.json"


def home() -> Path:
    """The folder that holds all state of ``vise up`` (``$VISE_HOME``, by default ``.vise``)."""
    return Path(os.environ.get("VISE_HOME", ".vise"))


def stored() -> Path:
    """The file that ``vise login`` writes."""
    base = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config"))
    return base / "vise" / "login.json"


def write_private(path: Path, content: dict[str, str]) -> None:
    """Write a JSON file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
    part.replace(path)


def connect() -> ViseClient:
    """Return a client for the server in use. Raises ClientError where none is known."""
    if "VISE_TOKEN" in os.environ:
        return ViseClient(os.environ.get("VISE_API_URL", "http://127.0.0.1:8000"), os.environ["VISE_TOKEN"])
    for path in (home() / LOCAL, stored()):
        try:
            saved = json.loads(path.read_text())
            return ViseClient(saved["url"], saved["token"])
        except (OSError, ValueError, KeyError):
            continue
    raise ClientError("no server is known: start one with `vise up`, or sign in with `vise login URL`")


def local_data_root() -> Path | None:
    """The data root of the server where that runs on this machine (``$VISE_DATA_ROOT``, or of ``vise up``); else None."""
    if "VISE_DATA_ROOT" in os.environ:
        return Path(os.environ["VISE_DATA_ROOT"])
    return home() / "data" if "VISE_TOKEN" not in os.environ and (home() / LOCAL).exists() else None
