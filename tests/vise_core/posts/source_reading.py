"""Reading a folder of posts as ingest does, for tests."""

import json
import tarfile
from pathlib import Path
from typing import Any

from post_layouts import add_member, picture

from vise_core.formats.post import PostRecord
from vise_core.posts.check import PostChecker, Tally
from vise_core.specs.ingest import IngestSpec

ROW = json.dumps({"comments": ["x"]}).encode()
"""A post without an id of its own."""


def read(folder: Path, source: dict[str, Any]) -> tuple[list[PostRecord], Tally, list[str]]:
    """(posts that ingest would keep, counts, what the reader warns of)."""
    tally, database = Tally(), folder.parent / f"{folder.name}-seen.sqlite"
    for old in folder.parent.glob(f"{database.name}*"):
        old.unlink()
    checker = PostChecker(IngestSpec.model_validate({"source": source}), folder, tally, database)
    kept = [record for _, record in checker.records() if record is not None]
    checker.count_files()
    checker.close()
    return kept, tally, checker.notes.warnings


def comments(kept: list[PostRecord]) -> dict[str, tuple[str, ...]]:
    return {record.post.id: record.post.comments for record in kept}


def tar_of(folder: Path, members: list[tuple[str, bytes]], **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "a.tar", "w", **options) as tar:
        for name, data in members:
            add_member(tar, name, data)
    return folder


def sample(key: str, seed: int = 0) -> list[tuple[str, bytes]]:
    return [(f"{key}.jpg", picture(seed)), (f"{key}.json", ROW)]
