"""Workspaces: the folder of one run, and the rule that decides whether a saved state may be resumed.

A workspace belongs to one run: a stage, a spec, the content of the inputs and the format of the stage's state
(``vise_core.identity``). The same run may resume or start again in it; any other is rejected with a message that names
the differences. ``run.json`` in the workspace identifies the run. A state that is saved elsewhere
(``Reporter.checkpoint``) carries ``identity.json``. Before a stage starts, everything that an earlier run left is
removed, except the stage's own state.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .errors import BadInput, OtherRun
from .files.whole import is_part, whole_file
from .identity import Identity
from .specs.stages import STAGES

FORMAT = "vise-workspace-1"
STATE = "state"
IDENTITY = "identity.json"
"""In a state that was saved elsewhere; removed before a stage sees the state."""
RECORD = "run.json"
LOCK = "run.lock"
ADVICE = (
    "Start over with --fresh (in Python: fresh=True), or choose another folder; on a server, clone the run"
)


@dataclass(frozen=True)
class Record:
    """Content of ``run.json``.

    Attributes
    ----------
    finished: True if the run ended without an error.
    before: names of the files that were in the workspace before the run.
    made: names of the files that the run made; None while it runs, and after it was killed.
    software: commit and package versions of the run's last attempt.
    """

    identity: Identity
    finished: bool
    before: tuple[str, ...]
    made: tuple[str, ...] | None
    software: dict[str, Any]


def read_record(folder: Path) -> Record | None:
    """Return the record of a workspace, or None if no run used it. Raises OtherRun if ``run.json`` cannot be read."""
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        facts = json.loads(path.read_bytes())
        return Record(
            _identity(facts),
            bool(facts["finished"]),
            tuple(facts["before"]),
            None if facts["made"] is None else tuple(facts["made"]),
            dict(facts["software"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OtherRun(
            f"{path} cannot be read, so the run that the folder belongs to is unknown. {ADVICE}"
        ) from error


@dataclass(frozen=True)
class Workspace:
    """A workspace that is open for a run; ``resumes`` is True if it holds a state of that run."""

    folder: Path
    identity: Identity
    resumes: bool

    def sign(self, state: Path) -> None:
        """Put ``identity.json`` into a state folder that is about to be saved elsewhere."""
        _write(state / IDENTITY, {"format": FORMAT, "digest": self.identity.digest, **asdict(self.identity)})

    def unsign(self, state: Path) -> None:
        """Remove ``identity.json`` again."""
        (state / IDENTITY).unlink(missing_ok=True)

    def drop_state(self) -> None:
        """Remove the state, so that nothing resumes from it."""
        for name in _names(self.folder):
            if _is_state(name):
                _remove(self.folder / name)


def check_workspace(folder: Path, identity: Identity, *, fresh: bool = False) -> Record | None:
    """Return the record of the previous run. Raises OtherRun if that is another run and ``fresh`` is off."""
    if fresh:
        with suppress(OtherRun):
            return read_record(folder)
        return None
    record = read_record(folder)
    signed = _signature(folder / STATE)
    if record is None:
        if _holds_state(folder) and signed is None:
            raise OtherRun(f"{folder / STATE} holds a state of an unknown run. {ADVICE}")
        unknown = [name for name in _names(folder) if _is_output(name, identity.stage)]
        if unknown:
            raise OtherRun(f"{folder} holds {unknown[0]} of an unknown run. {ADVICE}")
    for earlier in (record.identity if record else None, signed):
        differences = earlier.differences(identity) if earlier is not None else []
        if differences and (_holds_state(folder) or (record is not None and record.finished)):
            kind = "finished" if record is not None and record.finished else "unfinished"
            raise OtherRun(f"{folder} belongs to another, {kind} run: {'; '.join(differences)}. {ADVICE}")
    return record


@contextmanager
def open_workspace(
    folder: Path,
    identity: Identity,
    *,
    fresh: bool = False,
    protected: Sequence[Path] = (),
    software: Mapping[str, Any] | None = None,
) -> Iterator[Workspace]:
    """Open the workspace for a run: keep the run's own state and remove everything else that an earlier run left.

    Files that no run made stay, and so does whatever contains a path of ``protected``. The run counts as finished once
    the block ends without an exception. Raises OtherRun if it belongs to another run and ``fresh`` is off, and BadInput
    while another process uses it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        record = check_workspace(folder, identity, fresh=fresh)
        software = dict(software or {})
        same = record is None or not record.identity.differences(identity)
        # A run that was finished with other software starts again: its state would give the old software's result.
        outdated = record is not None and record.finished and record.software != software
        resumes = not fresh and same and not outdated and _holds_state(folder)
        kept = {_first_part(folder, path) for path in protected}
        for name in _leftovers(folder, record, identity.stage):
            if name not in kept and not (resumes and _is_state(name)):
                _remove(folder / name)
        if (folder / STATE).is_dir():
            (folder / STATE / IDENTITY).unlink(missing_ok=True)
        before = [name for name in _names(folder) if not _is_state(name)]
        running = Record(identity, False, tuple(before), None, software)
        _save(folder, running)
        finished = False
        try:
            yield Workspace(folder, identity, resumes)
            finished = True
        finally:
            made = set(_names(folder)) - set(before)
            _save(folder, replace(running, finished=finished, made=tuple(sorted(made))))


def _leftovers(folder: Path, record: Record | None, stage: str) -> list[str]:
    """Return the names of the files that an earlier run left: states and outputs."""
    names = _names(folder)
    if record is None:
        return [name for name in names if _is_state(name) or _is_output(name, stage)]
    made = set(names) - set(record.before) if record.made is None else set(record.made)
    return [name for name in names if _is_state(name) or name in made]


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(
        name
        for name in os.listdir(folder)  # noqa: PTH208 - names, not paths
        if name not in (RECORD, LOCK) and not is_part(name)
    )


def _is_state(name: str) -> bool:
    """Return True for ``state`` and for its temporary folders, such as ``state.next``."""
    return name == STATE or name.startswith(f"{STATE}.")


def _is_output(name: str, stage: str) -> bool:
    return name.partition(".")[0] in STAGES[stage].outputs


def _holds_state(folder: Path) -> bool:
    """Return True if the workspace holds a state that is not empty."""
    for name in _names(folder):
        path = folder / name
        if _is_state(name) and (not path.is_dir() or any(p.name != IDENTITY for p in path.iterdir())):
            return True
    return False


def _first_part(folder: Path, path: Path) -> str | None:
    """Return the name in ``folder`` at or below which ``path`` lies, or None if it lies elsewhere."""
    try:
        parts = path.resolve().relative_to(folder.resolve()).parts
    except ValueError:
        return None
    return parts[0] if parts else None


def _signature(state: Path) -> Identity | None:
    path = state / IDENTITY
    if not path.exists():
        return None
    try:
        return _identity(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OtherRun(f"{path} cannot be read, so the state is of an unknown run. {ADVICE}") from error


def _identity(facts: dict[str, Any]) -> Identity:
    identity = Identity(
        str(facts["stage"]), str(facts["state_format"]), dict(facts["spec"]), dict(facts["inputs"])
    )
    if facts["format"] != FORMAT or facts["digest"] != identity.digest:
        raise ValueError(f"not of format {FORMAT}, or edited by hand")
    return identity


def _save(folder: Path, record: Record) -> None:
    facts = {"format": FORMAT, "digest": record.identity.digest, **asdict(record.identity)}
    _write(
        folder / RECORD,
        facts
        | {
            "finished": record.finished,
            "before": record.before,
            "made": record.made,
            "software": record.software,
        },
    )


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    with whole_file(path) as part:
        part.write_text(json.dumps(facts, indent=1) + "\n")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the workspace for this process; its child processes do not inherit the lock."""
    with (folder / LOCK).open("wb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise BadInput(
                f"{folder}: another process uses this folder; wait for it, or choose another folder"
            ) from error
        except OSError:
            pass  # A file system without locks.
        yield
