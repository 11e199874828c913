"""The stage ``ingest``: read posts, check each, write shards, and report what was rejected and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from vise_core.engine import engine
from vise_core.errors import BadInput, Stopped
from vise_core.files.whole import whole_file
from vise_core.formats.posts import ShardEntry, ShardWriter, shard_name, write_index
from vise_core.limits import limited_data
from vise_core.reporter import PacedCheckpoints, Reporter
from vise_core.specs.ingest import IngestResult, IngestSpec
from vise_core.specs.posts.sources import SampleSource

from .check import PostChecker, Tally, files_below, source_of


def run(spec: IngestSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> IngestResult:
    """Run the stage; artifacts ``posts``, ``report``, and for sample data ``evaluation_set``.

    Raises BadInput where the source cannot be read at all, or not one post can be used.
    """
    state = workspace / "state"
    state.mkdir(parents=True, exist_ok=True)
    synthetic = isinstance(spec.source, SampleSource)
    source = source_of(spec, inputs)

    tally = Tally()
    if (state / "tally.json").exists():
        tally = Tally(**json.loads((state / "tally.json").read_bytes()))
        reporter.log(f"Continuing after {len(tally.shards)} complete shards.")

    def stop_if_asked() -> None:
        if reporter.should_stop():
            raise Stopped(f"ingest was stopped after {len(tally.shards)} complete shards")

    # The limits are those of this process, which reads the source: the engine's own processes start without them.
    with (
        engine(spec.compute, workspace, inputs.values(), stop_if_asked) as workers,
        nullcontext() if source is None else limited_data(_files(source)),
        PacedCheckpoints(reporter, state) as saves,
    ):
        checker = PostChecker(spec, source, tally, state / "seen.sqlite", workers)
        _write_shards(spec, checker, state, reporter, saves, stop_if_asked)
    if tally.posts == 0:
        raise BadInput(_no_posts_message(tally))
    warnings = [*checker.notes.warnings, *tally.warnings()]
    for warning in warnings:
        reporter.log(warning, level="warning")
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
        "rejected": tally.rejected,
        "repaired": tally.repaired,
        "dropped": tally.dropped,
        "other_reactions": tally.other_reactions,
        "unread_reactions": tally.unread_reactions,
        "warnings": warnings,
        "examples": tally.examples,
    }
    (workspace / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    reporter.artifact("report", workspace / "report.json")
    if isinstance(spec.source, SampleSource):
        from .sample import write_evaluation_set

        write_evaluation_set(workspace / "evaluation_set", spec.source, spec.seed, reporter)
        reporter.artifact("evaluation_set", workspace / "evaluation_set")
    reporter.log(f"{tally.posts} of {tally.read} posts were kept; rejected {tally.rejected or 'none'}.")
    return IngestResult(
        posts=tally.posts,
        shards=len(tally.shards),
        comments=tally.comments,
        reactions=tally.reactions,
        rejected=tally.rejected,
        repaired=tally.repaired,
        synthetic=synthetic,
        read=tally.read,
        dropped=tally.dropped,
        other_reactions=tally.other_reactions,
        unread_reactions=tally.unread_reactions,
        warnings=tuple(warnings),
    )


def _write_shards(
    spec: IngestSpec,
    checker: PostChecker,
    state: Path,
    reporter: Reporter,
    saves: PacedCheckpoints,
    stop_if_asked: Callable[[], None],
) -> None:
    """Write the posts that are left into shards in ``state``."""
    tally = checker.tally
    total = spec.source.posts if isinstance(spec.source, SampleSource) else None
    writer: ShardWriter | None = None
    try:
        for _, record in checker.records():
            if record is not None:
                writer = writer or ShardWriter(state / shard_name(len(tally.shards)))
                writer.write(record)
                if writer.posts == spec.posts_per_shard:
                    _close(writer, tally, state, checker)
                    writer = None
                    saves.save()
            if tally.read % 200 == 0:
                reporter.progress(tally.read, total, "posts", phase="reading posts")
                stop_if_asked()
    except Exception:
        if writer is not None:
            writer.abandon()
        raise
    if writer is not None:
        _close(writer, tally, state, checker)
    # Counted after the last state is saved: a resumed run counts them again.
    checker.count_files()
    checker.close()


def _files(source: Path) -> list[Path]:
    return [path for path, _ in files_below(source)] if source.is_dir() else [source]


def _close(writer: ShardWriter, tally: Tally, state: Path, checker: PostChecker) -> None:
    tally.shards.append(writer.close().model_dump())
    checker.save()
    with whole_file(state / "tally.json") as part:
        part.write_text(json.dumps(asdict(tally)))


def _no_posts_message(tally: Tally) -> str:
    """Return a message that says why no post could be used, with the first example."""
    if not tally.rejected:
        return "the source holds no posts"
    counted = ", ".join(f"{reason} {count:,}" for reason, count in tally.rejected.items())
    reason = max(tally.rejected, key=lambda name: tally.rejected[name])
    first = tally.examples[reason][0]
    return (
        f"all {tally.read:,} posts were rejected: {counted}. The first {reason}: {first['where']}: "
        f"{first['message']}"
    )
