"""Find the server and the token: from the environment, ``vise up`` in this folder, or the last ``vise login``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_config_path

from vise_core.files.whole import whole_file

from .client import ViseClient
from .errors import ClientError

if TYPE_CHECKING:
    from .settings import ClientSettings

LOCAL = "local.json"


def _settings() -> ClientSettings:
    # Imported here: `vise --help` can do without.
    from .settings import ClientSettings

    return ClientSettings()


def home() -> Path:
    """Return the folder that holds all state of ``vise up`` (``$VISE_HOME``, by default ``.vise``)."""
    return _settings().home


def login_file() -> Path:
    """Return the path of the file that ``vise login`` writes."""
    return user_config_path("vise", appauthor=False) / "login.json"


def write_private(path: Path, content: dict[str, str]) -> None:
    """Write a JSON file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(path) as part,
        os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
    ):
        json.dump(content, file)


def connect() -> ViseClient:
    """Return a client for the server in use. Raises ClientError where none is known."""
    settings = _settings()
    if settings.token is not None:
        return ViseClient(settings.api_url, settings.token)
    for path in (home() / LOCAL, login_file()):
        try:
            saved = json.loads(path.read_text())
            return ViseClient(saved["url"], saved["token"])
        except (OSError, ValueError, KeyError):
            continue
    raise ClientError("no server is set: start one with `vise up`, or sign in with `vise login URL`")


def local_data_root() -> Path | None:
    """Return the data root of a server on this machine (``$VISE_DATA_ROOT``, or of ``vise up``); else None."""
    settings = _settings()
    if settings.data_root is not None:
        return settings.data_root
    return home() / "data" if settings.token is None and (home() / LOCAL).exists() else None
