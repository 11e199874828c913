"""The reporter of a stage in a worker: writes to the store with the run's fencing token."""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from backend.store.errors import StaleToken
from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from backend.store.registry import artifacts, dataset_versions
from backend.store.registry.storage import Storage
from backend.store.registry.storage_away import away
from backend.store.runs import logs
from backend.store.runs.states.lease import check_token, set_checkpoint, set_progress
from backend.store.upkeep.marks import ObjectsRemoved, backup_runs
from vise_client.schemas.runs import Progress
from vise_core.files.hashing import file_sha256, tree_manifest
from vise_core.files.whole import is_part
from vise_core.reporter import check_metric_name

from .context import Context

T = TypeVar("T")
FLUSH_SECONDS = 1.0
MAX_POINTS = 50_000
"""Points that are buffered; a stage that logs faster than they are written then waits for the database."""
PACE_SECONDS = 3.0
"""Time that a phase must have run before the remaining time is estimated."""
LOST = 12
"""Exit code of a child whose worker has lost the lease."""
ACTIVITY = "activity"
"""File of a workspace that is touched when the stage reports something: its worker ends a stage that is silent."""
NOTED_SECONDS = 1.0
"""Time between two touches at least."""
log = logging.getLogger("vise.run")


class StoreReporter:
    """Buffers metrics and log lines and writes them every second; keeps them while the database does not respond.

    At most about ``MAX_POINTS`` points are buffered; then the stage waits. All that was reported before ``checkpoint``,
    ``artifact`` or ``close`` is in the store when they return.
    """

    def __init__(self, context: Context, run_id: UUID, token: int, activity: Path | None = None) -> None:
        self.context, self.run_id, self.token = context, run_id, token
        self._activity, self._noted_at = activity, -math.inf
        self.stop = threading.Event()
        self._states: dict[str, set[str]] = {}
        self._points: list[Point] = []
        self._lines: list[tuple[datetime, str, str]] = []
        self._progress: Progress | None = None
        self._pace: tuple[tuple[object, ...], float, float] | None = None
        self._buffer = threading.Lock()
        self._writing = threading.Lock()
        self._closed = threading.Event()
        self._broken: Exception | None = None
        self._thread = threading.Thread(target=self._flush_often, name="reporter", daemon=True)
        self._thread.start()

    def _note_activity(self) -> None:
        """Note that the stage reports something, or waits for a server."""
        now = time.monotonic()
        if self._activity is not None and now - self._noted_at >= NOTED_SECONDS:
            self._noted_at = now
            with suppress(OSError):  # the disk is full: the file keeps its earlier time
                self._activity.touch()

    def metrics(self, step: int, values: Mapping[str, float], *, epoch: float | None = None) -> None:
        """Buffer one point per metric; wait for the database if the buffer is full.

        Raises BadInput for a name that cannot be stored, and the error of an earlier write that failed for good.
        """
        self._note_activity()
        for key in values:
            check_metric_name(key)
        if self._broken is not None:
            raise self._broken
        now = datetime.now(UTC)
        points = [Point(key, int(step), float(value), epoch, now) for key, value in values.items()]
        with self._buffer:
            self._points += points
            full = len(self._points) >= MAX_POINTS
        if full:
            self.flush()

    def log(self, message: str, *, level: str = "info") -> None:
        """Buffer a log line."""
        self._note_activity()
        with self._buffer:
            self._lines.append((datetime.now(UTC), level, message))

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        """Set the progress to show, with an estimate of the remaining time."""
        self._note_activity()
        left = self._seconds_left(done, total, (unit, phase, total))
        self._progress = Progress(done=done, total=total, unit=unit, phase=phase, seconds_left=left)

    def _seconds_left(self, done: float, total: float | None, phase_key: tuple[object, ...]) -> float | None:
        """Estimate the remaining seconds from this process's pace in the phase; work before a resume does not count."""
        now = time.monotonic()
        if self._pace is None or self._pace[0] != phase_key or done < self._pace[2]:
            self._pace = (phase_key, now, done)
        _, since, first = self._pace
        if total is None or done <= first or now - since < PACE_SECONDS:
            return None
        return max(0.0, (total - done) * (now - since) / (done - first))

    def artifact(self, name: str, path: Path) -> None:
        """Store a file or folder as an artifact of the run."""
        manifest, sha256 = artifacts.describe(path)
        folder = path.is_dir()

        def write(db: Session) -> None:
            artifacts.record(db, self.run_id, self.token, name, manifest, sha256, folder)

        while True:
            self._write(lambda db: artifacts.claim(db, manifest))
            self._store(lambda: artifacts.store(self.context.storage, path, manifest))
            self.flush()
            try:
                self._write(write)
                return
            except ObjectsRemoved as error:
                log.warning("run %s: %s; storing them again", self.run_id, error)

    def read(self, hashes: Mapping[str, str]) -> None:
        """Record which content of each data set the run reads, before the stage starts."""

        def write(db: Session) -> None:
            check_token(db, self.run_id, self.token)
            dataset_versions.record(db, self.run_id, hashes)

        self._write(write)

    def checkpoint(self, path: Path) -> None:
        """Upload the state, record it in the store, then delete the states that are no longer kept."""
        storage = self.context.state_storage(self.run_id, self.token)
        # Processes of the stage may be writing there; a state that grows by files is read once.
        manifest = [row for row in tree_manifest(path, cached=True) if not is_part(Path(row["path"]).name)]
        self._store(lambda: storage.put_all({row["sha256"]: path / row["path"] for row in manifest}))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(manifest, file)
            file.flush()
            key = file_sha256(Path(file.name))
            self._store(lambda: storage.put(Path(file.name), key))
        # The metrics up to here must be in the store before a run can resume from here.
        self.flush()
        name = f"{self.token}/{key}"
        dropped: list[str] = []

        def write(db: Session) -> None:
            dropped[:] = set_checkpoint(
                db, self.run_id, self.token, name, self.context.settings.kept_checkpoints
            )
            if backup_runs(db):
                dropped.clear()  # the backup may need them; the next sweep removes them

        self._write(write)
        self._states[name] = {row["sha256"] for row in manifest} | {key}
        # What this process did not write itself is left to the sweep.
        for files in [self._states.pop(old) for old in dropped if old in self._states]:
            self._delete(storage, files.difference(*self._states.values()))

    def _delete(self, storage: Storage, files: set[str]) -> None:
        try:
            self._store(lambda: storage.delete_all(files))
        except Exception as error:  # of the system, fsspec or the bucket's client: there are many
            log.warning("run %s: outdated states stay until the next sweep: %s", self.run_id, error)

    def _store(self, use: Callable[[], T]) -> T:
        """Use the storage; while it is away or full the stage waits, and the run's log says so."""
        reported: list[str] = []

        def attempt() -> T:
            self._note_activity()
            try:
                return use()
            except Exception as error:
                passes = away(error)
                if passes is not None and not reported:
                    reported.append(str(passes))
                    self.log(f"waits for the storage: {passes}", level="warning")
                raise

        result = self.context.store(attempt)
        if reported:
            self.log("the storage is well again")
        return result

    def should_stop(self) -> bool:
        """Return True once the run should save its state and stop."""
        return self.stop.is_set()

    def flush(self) -> None:
        """Write all that is buffered; wait until the database responds.

        Raises the error of an earlier write that failed for good, such as StaleToken.
        """
        with self._writing:
            with self._buffer:
                points, self._points = self._points, []
                lines, self._lines = self._lines, []
                progress, self._progress = self._progress, None

            attempts = itertools.count()

            def write(db: Session) -> None:
                again = next(attempts) > 0
                metrics.append(db, self.run_id, self.token, points)
                if lines:
                    logs.append(db, self.run_id, self.token, lines, again=again)
                if progress is not None:
                    set_progress(db, self.run_id, self.token, progress)

            if self._broken is not None:
                raise self._broken
            if points or lines or progress is not None:
                self._write(write)

    def close(self) -> None:
        """Write the rest and stop the thread."""
        self._closed.set()
        self._thread.join()
        self.flush()

    def _flush_often(self) -> None:
        while not self._closed.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except Exception as error:
                # Raised at the stage's next call: a point that cannot be written must not vanish silently.
                self._broken = error
                return

    def _write(self, write: Callable[[Session], object]) -> None:
        """Run a transaction, waiting until the database responds; end the process if the lease is lost."""

        def attempt(db: Session) -> None:
            self._note_activity()
            write(db)

        try:
            self.context.write(attempt)
        except StaleToken as error:
            log.error("%s; another worker holds the run, so this process ends", error)
            os._exit(LOST)
