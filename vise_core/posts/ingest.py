"""The stage ``ingest``: read posts from anywhere, check each, write shards, and say what was refused and why."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from vise_core.errors import BadImage, BadInput, Stopped
from vise_core.reporter import Reporter
from vise_core.specs.posts import IngestResult, IngestSpec, Refusals, SampleSource

from .images import store_image
from .readers import READERS, RawPost
from .records import PostRecord
from .rows import Refused, check_row
from .shards import ShardEntry, ShardWriter, shard_name, write_index

EXAMPLES = 100
"""Refused posts that the report shows of each reason."""


@dataclass
class Tally:
    """What happened so far. Saved with each whole shard, so that a resumed run counts on from there."""

    read: int = 0
    posts: int = 0
    comments: int = 0
    reactions: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    normalised: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    shards: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, reason: str, where: str, message: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append({"where": where, "message": message[:500]})


def run(spec: IngestSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> IngestResult:
    """Artifacts: ``posts``, ``report``, and for sample data ``evaluation_set``.

    Raises BadInput where the source cannot be read at all, or not one post can be used.
    """
    state = workspace / "state"
    state.mkdir(parents=True, exist_ok=True)
    synthetic = isinstance(spec.source, SampleSource)
    if not synthetic and "source" not in inputs:
        raise BadInput("source: give the folder of posts as input, or choose the sample source")
    raw = _raw_posts(spec, inputs)
    total = spec.source.posts if isinstance(spec.source, SampleSource) else None
    tally = _write_shards(spec, raw, state, reporter, total)
    if tally.posts == 0:
        raise BadInput(f"not one post could be used; refused: {tally.refused or 'nothing was found'}")
    folder = workspace / "posts"
    folder.mkdir(exist_ok=True)
    for entry in tally.shards:
        target = folder / entry["name"]
        target.unlink(missing_ok=True)
        target.hardlink_to(state / entry["name"])
    write_index(folder, [ShardEntry(**entry) for entry in tally.shards], synthetic=synthetic)
    reporter.artifact("posts", folder)
    report = {
        "synthetic": synthetic,
        "read": tally.read,
        "posts": tally.posts,
        "refused": tally.refused,
        "normalised": tally.normalised,
        "examples": tally.examples,
    }
    (workspace / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    reporter.artifact("report", workspace / "report.json")
    if isinstance(spec.source, SampleSource):
        from .sample import write_evaluation_set

        write_evaluation_set(workspace / "evaluation_set", spec.source, spec.seed, reporter)
        reporter.artifact("evaluation_set", workspace / "evaluation_set")
    reporter.log(f"{tally.posts} of {tally.read} posts were taken; refused {tally.refused or 'none'}.")
    return IngestResult(
        posts=tally.posts,
        shards=len(tally.shards),
        comments=tally.comments,
        reactions=tally.reactions,
        refusals=Refusals(refused=tally.refused, normalised=tally.normalised),
        synthetic=synthetic,
    )


def _raw_posts(spec: IngestSpec, inputs: dict[str, Path]) -> Iterator[RawPost]:
    if isinstance(spec.source, SampleSource):
        from .sample import raw_posts

        return raw_posts(spec.source, spec.seed)
    return READERS[spec.source.kind](inputs["source"], spec.source)


def _write_shards(
    spec: IngestSpec, raw: Iterator[RawPost], state: Path, reporter: Reporter, total: int | None
) -> Tally:
    """Shards into ``state``. What was whole before a kill is kept, and reading goes on behind it."""
    tally = Tally()
    if (state / "tally.json").exists():
        tally = Tally(**json.loads((state / "tally.json").read_bytes()))
        reporter.log(f"Going on after {len(tally.shards)} whole shards.")
        for _ in islice(raw, tally.read):
            pass
    seen = _SeenIds(state / "seen.sqlite", tally.read)
    writer: ShardWriter | None = None
    for post in raw:
        tally.read += 1
        record = _checked(post, spec, seen, tally)
        if tally.read % 200 == 0:
            reporter.progress(tally.read, total, "posts", phase="reading posts")
            if reporter.should_stop():
                if writer is not None:
                    writer.abandon()
                reporter.checkpoint(state)
                raise Stopped(f"ingest was stopped after {len(tally.shards)} whole shards")
        if record is None:
            continue
        writer = writer or ShardWriter(state / shard_name(len(tally.shards)))
        writer.write(record)
        tally.posts += 1
        tally.comments += len(record.post.comments)
        tally.reactions += sum(record.post.reactions)
        if writer.posts == spec.posts_per_shard:
            _close(writer, tally, state, seen)
            writer = None
    if writer is not None:
        _close(writer, tally, state, seen)
    seen.close()
    return tally


def _close(writer: ShardWriter, tally: Tally, state: Path, seen: _SeenIds) -> None:
    tally.shards.append(asdict(writer.close()))
    seen.commit()
    part = state / "tally.part"
    part.write_text(json.dumps(asdict(tally)))
    part.replace(state / "tally.json")


def _checked(raw: RawPost, spec: IngestSpec, seen: _SeenIds, tally: Tally) -> PostRecord | None:
    """The post ready to be stored, or None with the reason counted."""
    try:
        if raw.refused is not None:
            raise raw.refused
        checked = check_row(raw.row, spec)
        assert raw.image is not None
        image = store_image(raw.image, max_pixels=spec.max_image_pixels, max_side=spec.max_image_side)
        if not seen.add(checked.post.id, tally.read):
            raise Refused("duplicate_id", f"the post {checked.post.id!r} was there before")
    except Refused as error:
        tally.refuse(error.reason, raw.where, str(error))
        return None
    except BadImage as error:
        tally.refuse(f"image_{error.reason}", raw.where, str(error))
        return None
    for repair in {*checked.repairs, *image.repairs}:
        tally.normalised[repair] = tally.normalised.get(repair, 0) + 1
    return PostRecord(checked.post, image.data, image.extension)


class _SeenIds:
    """Ids that were taken, on disk: a million posts or a billion, memory stays flat."""

    def __init__(self, path: Path, read: int) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        # Ids behind the last whole shard are read again.
        self._db.execute("DELETE FROM seen WHERE n > ?", (read,))
        self._db.execute("BEGIN")

    def add(self, post_id: str, n: int) -> bool:
        digest = hashlib.blake2b(post_id.encode(), digest_size=16).digest()
        return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digest, n)).rowcount == 1

    def commit(self) -> None:
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.execute("COMMIT")
        self._db.close()
