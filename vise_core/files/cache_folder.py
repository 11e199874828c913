"""The cache folder for downloaded and computed files that runs share."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from vise_core.errors import BadInput


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


def cache_subfolder(name: str) -> Path | None:
    """Return a subfolder of the cache; None where the account has no home folder."""
    try:
        return cache_folder() / name
    except BadInput:
        return None
