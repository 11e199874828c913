"""Do the removals of posts that admins have requested: in one process at a time, killed and repeated at any moment.

What was applied is also kept in the storage (``removals_kept.py``): after a restore of an older backup it is done again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from backend.store.database import Sessions, session_factory
from backend.store.errors import in_words, is_transient
from backend.store.locks import REMOVALS_LOCK
from backend.store.registry.storage import Storage
from backend.store.registry.storage_away import away
from vise_client.schemas.removals import RemovalState
from vise_core.errors import ViseError

from . import forget, forget_runs, removals
from .removals_kept import keep, kept
from .tables import Removal

log = logging.getLogger("vise.removals")
LEASE_SECONDS = 15.0
"""Silence after which the process counts as frozen and loses the lock."""
PROGRESS_SECONDS = 1.0
"""Seconds between two writes of the progress."""


class Discarded(ViseError):
    """The removal was deleted, or changed by another process, while a worker worked on it."""


class Stopped(ViseError):
    """This process ends in the middle of a removal, which another one continues."""


def work(
    sessions: Sessions,
    storage: Storage,
    data_root: Path | None,
    ends: Callable[[], bool] = lambda: False,
    *,
    restored: bool = False,
) -> None:
    """Do what is due of all removals, oldest first; nothing while another process does it, or once ``ends`` is true.

    ``restored``: no worker runs, and unfinished runs that read the posts are cancelled.

    Raises errors of a database or a storage that do not respond; others fail the removal.
    """
    with _alone(sessions) as lost:
        done: set[UUID] = set()
        while lost is not None and not lost.is_set() and not ends():
            with sessions() as db:
                removal = removals.next_due(db, done)
            if removal is None:
                return
            done.add(removal.id)
            try:
                _work_on(
                    sessions, storage, data_root, removal, lambda: ends() or lost.is_set(), restored=restored
                )
            except Discarded:
                log.info("removal %s: deleted or changed meanwhile", removal.id)
            except Stopped:
                log.info("removal %s: goes on when a worker runs", removal.id)
                return
            except Exception as error:
                if is_transient(error) or away(error) is not None:
                    raise
                if not isinstance(error, ViseError):
                    log.exception("removal %s", removal.id)
                _write(sessions, removal, state=RemovalState.failed.value, error=in_words(error))


def _work_on(
    sessions: Sessions,
    storage: Storage,
    data_root: Path | None,
    removal: Removal,
    ends: Callable[[], bool],
    *,
    restored: bool,
) -> None:
    last_report = 0.0

    def report_progress(what: str) -> None:
        nonlocal last_report
        if ends():
            raise Stopped("this process ends, or has lost the lock")
        if time.monotonic() - last_report > PROGRESS_SECONDS:
            _write(sessions, removal, progress=what)
            last_report = time.monotonic()

    ids = removal.posts
    if removal.state == RemovalState.removing.value:
        keep(storage, removal)
    sources = {UUID(entry["run"]) for entry in removal.findings if "run" in entry}
    findings = forget.find(sessions, storage, data_root, ids, report_progress, sources)
    listed = _entries(removal.findings, findings)
    if removal.state == RemovalState.listing.value:
        _write(sessions, removal, state=RemovalState.listed.value, findings=listed, progress="")
        return
    # With the runs: another try, if this one is killed, may no longer find them by what they hold.
    _write(sessions, removal, findings=_entries(removal.findings, findings, with_runs=True))
    gone_at = forget.forget(sessions, storage, findings, ids, report_progress, restored=restored)
    left = forget.remaining(sessions, storage, data_root, ids, report_progress)
    assert removal.applied_at is not None
    with sessions() as db:
        readers = () if restored else findings.sources
        late = forget_runs.late_readers(db, readers, removal.applied_at, gone_at)
    what = "the run {!r} may have read the posts before they were removed"
    left += [f"{what.format(name)}: cancel it or wait until it ends, then remove again" for _, name in late]
    listed += [{"action": "mark", "what": what.format(name), "run": str(run_id)} for run_id, name in late]
    _write(
        sessions,
        removal,
        state=RemovalState.removed.value,
        findings=listed,
        left=left,
        progress="",
        finished_at=func.now(),
    )
    log.info("removal %s: %d posts removed, %d places still hold one", removal.id, len(ids), len(left))


def _entries(
    earlier: list[dict[str, str]], findings: forget.Findings, *, with_runs: bool = False
) -> list[dict[str, str]]:
    """Return what is stored of the findings, after what an earlier try, which was killed, has found and removed."""
    entries = {(entry["action"], entry["what"]): entry for entry in earlier}
    for finding in findings:
        entry = {"action": finding.action, "what": finding.what}
        runs = {"run": str(finding.run_id)} if finding.run_id else {}
        entries[finding.action, finding.what] = entry | runs
    kept = ("action", "what", "run") if with_runs else ("action", "what")
    return [{key: entry[key] for key in kept if key in entry} for entry in entries.values()]


def _write(sessions: Sessions, removal: Removal, **values: object) -> None:
    """Write values of a removal. Raises Discarded if it is no longer in the state that the work began in."""
    same = (Removal.id == removal.id, Removal.state == removal.state)
    with sessions.begin() as db:
        if db.execute(update(Removal).where(*same).values(**values).returning(Removal.id)).first() is None:
            raise Discarded(f"there is no removal {removal.id} in this state any more")


@contextmanager
def _alone(sessions: Sessions) -> Iterator[threading.Event | None]:
    """Hold the lock; the value is None while another process has it, else an event that is set when it is lost.

    The database ends a session that is silent for ``LEASE_SECONDS``, and with it the lock: a thread keeps it alive,
    which stops when the process is frozen.
    """
    engine: Engine = sessions.kw["bind"]
    with session_factory(engine.execution_options(isolation_level="AUTOCOMMIT"))() as lock:
        if not lock.scalar(select(func.pg_try_advisory_lock(REMOVALS_LOCK))):
            yield None
            return
        lock.execute(text(f"SET idle_session_timeout = {round(1000 * LEASE_SECONDS)}"))
        ended, lost = threading.Event(), threading.Event()

        def renew() -> None:
            while not ended.wait(LEASE_SECONDS / 5):
                try:
                    lock.execute(select(1))
                except Exception as error:
                    log.warning("another worker may go on with the removals of posts: %s", in_words(error))
                    lost.set()
                    return

        thread = threading.Thread(target=renew, name="removals-lease", daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            ended.set()
            thread.join()
            if lost.is_set():
                lock.invalidate()
            else:
                lock.execute(text("RESET idle_session_timeout"))
                lock.execute(select(func.pg_advisory_unlock(REMOVALS_LOCK)))


def restore_kept(sessions: Sessions, storage: Storage) -> int:
    """Have the removals done again that the storage keeps and the database does not know as done; return how many.

    The database is that of an older backup, or new: the posts may be back. Those of the database are kept in the
    storage, where they may be missing after a restore into another one.
    """
    known = {removal.id for removal in kept(storage)}
    with sessions() as db:
        rows = {row.id: row for row in db.scalars(select(Removal).where(Removal.applied_at.is_not(None)))}
    for row in rows.values():
        if row.id not in known:
            keep(storage, row)
    again = [removal for removal in kept(storage) if removal.id not in rows]
    with sessions.begin() as db:
        for removal in again:
            values = {"applied_at": removal.applied_at, "posts": removal.posts, "state": "removing"}
            statement = insert(Removal).values(id=removal.id, **values)
            # Requested before the backup, applied after it.
            db.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"], set_=values, where=text("removals.applied_at IS NULL")
                )
            )
    return len(again)


def remove_again(sessions: Sessions, storage: Storage, data_root: Path | None) -> list[str]:
    """Do the removals again that a restored backup has undone; return sentences about what still holds a post.

    No worker may run: unfinished runs that read the posts are cancelled.
    """
    restore_kept(sessions, storage)
    work(sessions, storage, data_root, restored=True)
    with sessions() as db:
        rows = db.scalars(select(Removal).where(Removal.applied_at.is_not(None)).order_by(Removal.id)).all()
    problems = []
    for row in rows:
        problems += [f"a removed post is left: {what}" for what in row.left]
        if row.state != RemovalState.removed.value:
            problems.append(f"the removal {row.id} of posts is not done: {row.error or row.progress}")
    return problems
