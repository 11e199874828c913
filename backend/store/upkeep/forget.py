"""Remove posts for good, as a request for privacy demands: from the storage and from all rows, with what shows them.

``find`` reads every object and lists what holds the posts and what was derived from them; ``forget`` rewrites or
removes each and marks runs that learned from them; ``remaining`` reads everything again. All may be killed and
repeated: what finds the others, the posts in their shards, is removed last.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.store.database import Sessions
from backend.store.errors import Conflict
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, Dataset, Model, Upload
from backend.store.runs.tables import Run, RunLog
from backend.store.serving.tables import Feedback, Prediction
from vise_core.formats.holding import Wanted
from vise_core.formats.posts import ShardIndex
from vise_core.formats.removal import REWRITTEN, remove_posts

from . import forget_rows, marks, sweep
from .forget_runs import cancel_unfinished, reading, require_finished, with_derived
from .forget_scan import Report, no_report, scan_files, scan_folders, scan_objects, unsearched
from .tables import Garbage

Action = Literal["rewrite", "remove", "mark", "by hand"]
SHOWING = ("inspection", "explorer", "pairs", "survey")
"""Artifacts with comments or pictures of single posts, without their ids."""


@dataclass(frozen=True)
class Finding:
    """One thing that holds the posts, or was derived from them, and what is done with it.

    ``id``: of the artifact, upload or run. ``run_id``: the run that made it, or read the posts.
    """

    action: Action
    what: str
    id: UUID | None = None
    run_id: UUID | None = None
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """All of them. ``sources``: runs that held or read the posts; ``images``: digests of the posts' images."""

    artifacts: tuple[Finding, ...]
    uploads: tuple[Finding, ...]
    states: tuple[Finding, ...]
    rows: tuple[Finding, ...]
    derived: tuple[Finding, ...]
    by_hand: tuple[Finding, ...]
    sources: frozenset[UUID]
    images: frozenset[str]

    def __iter__(self) -> Iterator[Finding]:
        yield from (*self.artifacts, *self.uploads, *self.states, *self.rows, *self.derived, *self.by_hand)


def find(
    sessions: Sessions,
    storage: Storage,
    data_root: Path | None,
    ids: Collection[str],
    report: Report = no_report,
    sources: Collection[UUID] = (),
) -> Findings:
    """List what holds the posts and what was derived from them; change nothing. Reads every object.

    ``sources``: runs of which an earlier try has found that they held or read the posts; they are not listed again.
    """
    wanted = Wanted(ids)
    scan = scan_objects(storage, wanted, report)
    folders = scan_folders(sessions, data_root, wanted, report)
    # No transaction lasts while files are read: a process that is frozen there would keep it open.
    with sessions() as db:
        holding = _holding(db, scan.held, wanted)
        makers = {row.run_id for row, _ in holding}
        uploads = db.scalars(
            select(Upload).where(Upload.sha256.in_({*scan.held, *scan.problems})).order_by(Upload.id)
        ).all()
        readers = reading(db, {dataset.id for dataset, _, problem in folders if not problem}, "dataset")
        readers |= reading(db, {upload.id for upload in uploads}, "upload")
        all_sources = makers | readers | set(sources)
        family = with_derived(db, all_sources)
        names = {row.id: row.name for row in db.execute(select(Run.id, Run.name).where(Run.id.in_(family)))}
        found = [
            Finding(
                "rewrite" if row.name in REWRITTEN and row.folder else "remove",
                f"artifact {row.name} of the run {names[row.run_id]!r}: {len(files)} files hold a post",
                row.id,
                row.run_id,
            )
            for row, files in holding
        ]
        known = {finding.id for finding in found}
        found += [
            Finding(
                "remove",
                f"artifact {row.name} of the run {names[row.run_id]!r}: shows single posts",
                row.id,
                row.run_id,
            )
            for row in _showing(db, family)
            if row.id not in known
        ]
        marked = sorted(names.keys() - makers - set(sources))
        models = db.scalars(select(Model.name).where(Model.run_id.in_(marked)).order_by(Model.name))
        derived = [
            Finding("mark", f"the run {names[run_id]!r} was computed from posts", run_id, run_id)
            for run_id in marked
        ]
        derived += [Finding("mark", f"the model {name!r} learned from posts") for name in models]
        unsearched_artifacts = _unsearched_artifacts(db, scan.problems)
    states = _states(storage, wanted, report)
    images = _images(storage, [row for row, _ in holding if row.name == "posts" and row.folder], ids)
    with sessions() as db:
        rows = [*forget_rows.find(db, wanted), *_pictures(db, images)]
    return Findings(
        artifacts=tuple(found),
        # One that cannot be searched goes too: what was read of it is kept unpacked.
        uploads=tuple(
            Finding(
                "remove",
                f"uploaded archive {row.name}"
                + ("" if row.sha256 in scan.held else unsearched(scan.problems[row.sha256])),
                row.id,
            )
            for row in uploads
        ),
        states=tuple(states),
        rows=tuple(Finding("rewrite", what) for what in rows),
        derived=tuple(derived),
        by_hand=(
            *[
                Finding("by hand", what if problem else f"{what}: remove the post there")
                for what, problem in _folder_sentences(folders)
            ],
            *[
                Finding("by hand", f"{what}. Delete the run if it may have the post")
                for what in unsearched_artifacts
            ],
        ),
        sources=frozenset(all_sources & names.keys()),
        images=frozenset(images),
    )


def forget(
    sessions: Sessions,
    storage: Storage,
    findings: Findings,
    ids: Collection[str],
    report: Report = no_report,
    *,
    restored: bool = False,
) -> datetime:
    """Do what was found; return the time from which no run that starts can read the posts.

    Raises Conflict, and changes nothing, while an unfinished run reads the posts; of a ``restored`` database, for which
    no worker runs, it is cancelled.
    """
    with sessions.begin() as db:
        # Runs may have been launched, and have ended, since the posts were found.
        family = with_derived(db, findings.sources)
        involved = family | {f.run_id for f in findings.states if f.run_id}
        if restored:
            cancel_unfinished(db, involved)
        require_finished(db, involved)
        showing = [row.id for row in _showing(db, family)]
        derived = {finding.run_id for finding in findings.derived if finding.run_id}
        for run_id in sorted(family - {f.run_id for f in findings.artifacts} | derived):
            _note(db, run_id, f"{len(ids)} posts that this run was computed from have been removed since.")
        forget_rows.forget(db, Wanted(ids))
        _drop_pictures(db, findings.images)
        for finding in findings.states:
            no_states: dict[str, object] = {"checkpoint": None, "earlier_checkpoints": []}
            db.execute(update(Run).where(Run.id == finding.run_id).values(**no_states))
    storage.remove_files([path for finding in findings.states for path in finding.paths])
    report("removing what shows single posts")
    for artifact_id in showing:
        _change(sessions, lambda db, row: db.delete(row), artifact_id)
    for finding in sorted(findings.artifacts, key=lambda finding: finding.action == "rewrite"):
        assert finding.id is not None
        report(f"removing the posts from {finding.what}")
        if finding.action == "rewrite":
            _rewrite(sessions, storage, finding.id, ids)
        else:
            _change(sessions, lambda db, row: db.delete(row), finding.id)
    with sessions.begin() as db:
        for upload in db.scalars(select(Upload).where(Upload.id.in_([f.id for f in findings.uploads]))):
            marks.mark(db, [upload.sha256])
            db.delete(upload)
        gone_at: datetime = db.scalars(select(func.clock_timestamp())).one()
    scan = scan_objects(storage, Wanted(ids), report)
    searched = {*scan.held, *scan.problems}
    with sessions.begin() as db:
        orphans = searched - sweep.named_objects(db, searched)
        marks.mark(db, orphans)
        # Also those that only wait for the grace time.
        db.execute(update(Garbage).where(Garbage.sha256.in_(orphans)).values(due_at=func.now()))
    sweep.remove_due(sessions, storage)
    return gone_at


def remaining(
    sessions: Sessions,
    storage: Storage,
    data_root: Path | None,
    ids: Collection[str],
    report: Report = no_report,
) -> list[str]:
    """Read everything again and return what still holds a post, or may; empty proves that nothing does."""
    wanted = Wanted(ids)
    scan = scan_objects(storage, wanted, report)
    states = _states(storage, wanted, report)
    folders = scan_folders(sessions, data_root, wanted, report)
    with sessions() as db:
        others = scan.problems.keys() - sweep.named_objects(db, scan.problems.keys())
        return [
            *(f"the object {sha256}" for sha256 in sorted(scan.held)),
            *_unsearched_artifacts(db, scan.problems),
            *(f"the object {sha256}{unsearched(scan.problems[sha256])}" for sha256 in sorted(others)),
            *(finding.what for finding in states),
            *forget_rows.find(db, wanted),
            *(what for what, _ in _folder_sentences(folders)),
        ]


def _folder_sentences(folders: Iterable[tuple[Dataset, str, str]]) -> list[tuple[str, str]]:
    return [
        (f"{path} of the data set {dataset.name!r}{unsearched(problem)}", problem)
        for dataset, path, problem in folders
    ]


def _unsearched_artifacts(db: Session, problems: Mapping[str, str]) -> list[str]:
    """Return a sentence about each file of an artifact that could not be searched as a whole."""
    if not problems:
        return []
    rows = select(Artifact.name, Artifact.manifest, Run.name.label("run")).join(
        Run, Run.id == Artifact.run_id
    )
    return [
        f"{entry['path']} in the artifact {row.name} of the run {row.run!r}{unsearched(problems[entry['sha256']])}"
        for row in db.execute(rows.order_by(Artifact.id))
        for entry in row.manifest
        if entry["sha256"] in problems
    ]


def _holding(db: Session, held: Collection[str], wanted: Wanted) -> list[tuple[Artifact, list[str]]]:
    """Return the artifacts with a file that holds a post, or is named after one, and the paths of these files."""
    holding = []
    for row_id in db.scalars(select(Artifact.id).order_by(Artifact.id)).all():
        row = db.get_one(Artifact, row_id)
        paths = [
            entry["path"]
            for entry in row.manifest
            if entry["sha256"] in held or Path(entry["path"]).stem in wanted.of_name
        ]
        if paths:
            holding.append((row, paths))
    return holding


def _showing(db: Session, runs: Collection[UUID]) -> list[Artifact]:
    shown = select(Artifact).where(Artifact.run_id.in_(runs), Artifact.name.in_(SHOWING))
    return list(db.scalars(shown.order_by(Artifact.id)))


def _states(storage: Storage, wanted: Wanted, report: Report) -> list[Finding]:
    """Return the runs whose saved states hold a post, with the paths of all their states."""
    runs: dict[str, str] = {}
    for path, searched in scan_files(storage, "checkpoints", wanted, report):
        run_id = path.split("/")[1]
        runs[run_id] = "" if searched.posts else runs.get(run_id, searched.problem)
    return [
        Finding(
            "remove",
            f"saved states of the run {run_id}{unsearched(problem)}",
            run_id=UUID(run_id),
            paths=tuple(path for path, _ in storage.files(f"checkpoints/{run_id}")),
        )
        for run_id, problem in sorted(runs.items())
    ]


def _images(storage: Storage, rows: Iterable[Artifact], ids: Collection[str]) -> set[str]:
    """Return the SHA-256 of the posts' images in shards."""
    images: set[str] = set()
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            artifacts.materialise(storage, row.manifest, True, Path(folder))
            index = ShardIndex.open(Path(folder))
            images |= {
                hashlib.sha256(record.image).hexdigest()
                for record in index.iterate()
                if record.post.id in ids
            }
    return images


def _pictures(db: Session, images: Collection[str]) -> list[str]:
    """Return sentences about predictions and feedback whose image is that of a post."""
    predictions = db.scalar(select(func.count()).select_from(Prediction).where(Prediction.sha256.in_(images)))
    feedback = db.scalar(select(func.count()).select_from(Feedback).where(_feedback_on(images)))
    counts = {"predictions for": predictions, "labels given to": feedback}
    return [f"{count} {what} a post's image" for what, count in counts.items() if count]


def _drop_pictures(db: Session, images: Collection[str]) -> None:
    db.execute(delete(Feedback).where(_feedback_on(images)))
    db.execute(delete(Prediction).where(Prediction.sha256.in_(images)))


def _feedback_on(images: Collection[str]) -> ColumnElement[bool]:
    predictions = select(Prediction.id).where(Prediction.sha256.in_(images))
    return or_(Feedback.sha256.in_(images), Feedback.prediction_id.in_(predictions))


def _rewrite(sessions: Sessions, storage: Storage, artifact_id: UUID, ids: Collection[str]) -> None:
    """Store an artifact without the posts, then have its row name the new files."""
    with sessions() as db:
        row = db.get(Artifact, artifact_id)
        if row is None:
            return
        name, manifest, before = row.name, row.manifest, row.sha256
    with tempfile.TemporaryDirectory() as folder:
        path = artifacts.materialise(storage, manifest, True, Path(folder))
        if not remove_posts(name, path, ids):
            return
        changed, sha256 = artifacts.describe(path)
        values = {
            "manifest": changed,
            "sha256": sha256,
            "size": sum(entry["size"] for entry in changed),
            "files": len(changed),
        }

        def write(db: Session, row: Artifact) -> None:
            marks.require(db, {entry["sha256"] for entry in changed})
            if row.sha256 != before:
                raise Conflict("another process has rewritten the artifact meanwhile")
            for key, value in values.items():
                setattr(row, key, value)

        while True:
            with sessions.begin() as db:
                artifacts.claim(db, changed)
            artifacts.store(storage, path, changed)
            try:
                _change(sessions, write, artifact_id)
                return
            except marks.ObjectsRemoved:
                continue


def _change(sessions: Sessions, write: Callable[[Session, Artifact], object], artifact_id: UUID) -> None:
    """Change or delete an artifact's row, mark its objects before, and note it in the run's log."""
    with sessions.begin() as db:
        row = db.get(Artifact, artifact_id, with_for_update=True)
        if row is not None:
            marks.mark_artifacts(db, [row.run_id], row.name)
            _note(
                db,
                row.run_id,
                f"Posts have been removed, and with them what the artifact {row.name} held of them.",
            )
            write(db, row)


def _note(db: Session, run_id: UUID, message: str) -> None:
    last = db.scalar(
        select(RunLog.message).where(RunLog.run_id == run_id).order_by(RunLog.id.desc()).limit(1)
    )
    if last != message:
        db.add(RunLog(run_id=run_id, level="warning", message=message))
