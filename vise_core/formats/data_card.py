"""``dataset.json``: facts about a data set, beside its images. Users may write it too; it has no version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vise_core.errors import BadInput

FILE = "dataset.json"
MAX_BYTES = 2**20


def data_card(facts: Mapping[str, Any]) -> bytes:
    """Return the content of ``dataset.json``. ``synthetic`` says whether the images are generated."""
    return json.dumps(dict(facts), indent=1).encode() + b"\n"


def write_data_card(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write ``dataset.json`` into the folder of a data set."""
    (folder / FILE).write_bytes(data_card(facts))


def says_synthetic(folder: Path) -> bool:
    """Return True if the folder's ``dataset.json`` says that its images are generated; False without this file.

    Raises BadInput for a file that is larger than ``MAX_BYTES`` or invalid.
    """
    path = folder / FILE
    if not path.is_file():
        return False
    if path.stat().st_size > MAX_BYTES:
        raise BadInput(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON: {error}") from error
    flag = facts.get("synthetic", False) if isinstance(facts, dict) else None
    if not isinstance(flag, bool):
        raise BadInput(f"{path}: must be an object whose field synthetic, where given, is true or false")
    return flag
