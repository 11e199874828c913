"""The cache folder for downloaded and computed files that runs share.

A cache is optional: where none can be written, everything is computed or downloaded again, and one warning says so.
"""

from __future__ import annotations

import logging
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from platformdirs import user_cache_path

from vise_core.errors import BadInput

log = logging.getLogger("vise.cache")
CLEARED = "cleared.json"
NOT_FROM_DATA = frozenset({"weights", "kernels", CLEARED})
"""What the cache holds of nobody's data: downloaded weights, compiled code, and after what it was cleared."""


def cache_folder() -> Path:
    """Return ``$VISE_CACHE``, or ``vise`` in the account's cache folder (on Linux ``~/.cache/vise``).

    Raises BadInput if ``$VISE_CACHE`` is not set and the account has no home folder.
    """
    from vise_core.settings import CoreSettings

    if folder := CoreSettings().cache:
        return folder
    try:
        return user_cache_path("vise", appauthor=False)
    except RuntimeError as error:
        raise BadInput(
            "this account has no home folder: set VISE_CACHE to a folder for cached files"
        ) from error


def cache_subfolder(name: str = "") -> Path | None:
    """Return a subfolder of the cache, which is made if needed; None, and a warning once, if it cannot be.

    A folder that exists but cannot be written is returned: what another account has stored can be read.
    """
    try:
        folder = cache_folder() / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, BadInput) as error:
        _warn_once(str(error))
        return None
    return folder


def clear_cache() -> None:
    """Remove from the cache what was computed from data: all but ``NOT_FROM_DATA``.

    Runs that go on compute again what they need. Raises OSError for what cannot be removed.
    """
    try:
        entries = list(cache_folder().iterdir())
    except (FileNotFoundError, BadInput):
        return
    for entry in entries:
        if entry.name in NOT_FROM_DATA:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def cache_or_temporary(name: str) -> Path:
    """Return a folder for files that have to lie somewhere: below the cache, or else below a temporary folder.

    The temporary folder is removed when the process ends.
    """
    folder = cache_subfolder(name)
    if folder is not None and os.access(folder, os.W_OK | os.X_OK):
        return folder
    if folder is not None:
        _warn_once(f"{folder} cannot be written")
    folder = Path(_temporary_folder().name) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _temporary_folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="vise-cache-")


_warned = False


def _warn_once(reason: str) -> None:
    """Warn that there is no cache, once a process and the processes that are forked from it."""
    global _warned
    if not _warned:
        _warned = True
        log.warning(
            "there is no cache folder (%s): what runs share is computed or downloaded by each of them. "
            "Set VISE_CACHE to a folder that this account can write",
            reason,
        )
