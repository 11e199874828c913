"""Parse the sidecars of an image: a .json, or a .txt with one comment per line."""

from __future__ import annotations

import json
from typing import Any

from vise_core.posts.rejected import RejectedPost

JSON, TEXT = "json", "txt"


def row_of(key: str, parts: dict[str, bytes]) -> Any:
    """Return the row of a sample's files; ``__key__`` is its name, and its id where the JSON has none.

    Raises RejectedPost: not_json, bad_encoding, missing_data.
    """
    if JSON in parts:
        try:
            row = json.loads(parts[JSON])
        except (ValueError, RecursionError) as error:
            raise RejectedPost("not_json", f"the .json is not JSON ({error})") from error
        return {"__key__": key, **row} if isinstance(row, dict) else row
    if TEXT in parts:
        try:
            text = parts[TEXT].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RejectedPost("bad_encoding", f"the .txt is not UTF-8 ({error})") from error
        lines = [line for line in text.splitlines() if line.strip()]
        return {"__key__": key, "id": key, "comments": lines}
    raise RejectedPost("missing_data", "there is no .json (or .txt) beside the image")
