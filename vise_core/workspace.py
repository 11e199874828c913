"""Which run a workspace belongs to: the one place that decides whether a saved state may be resumed.

A workspace belongs to one run: a stage, a spec, the content of the inputs and the format of the stage's state. The same
run may go on in it, or run again; anything else is rejected with a message that names what differs. ``run.json`` in the
workspace says whose it is. A state that is saved elsewhere (``Reporter.checkpoint``) carries ``identity.json``.
Stages know nothing of this: what they find in a workspace is their own state, and nothing else that a run left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from vise_core.files.names import printable_text

from .errors import BadInput, OtherRun
from .specs.base import Spec
from .specs.stages import STAGES

FORMAT = "vise-workspace-1"
STATE = "state"
IDENTITY = "identity.json"
"""In a state that was saved elsewhere; stages never see it."""
RECORD = "run.json"
LOCK = "run.lock"
ADVICE = (
    "Start over with --fresh (in Python: fresh=True), or choose another folder; on a server, clone the run"
)


@dataclass(frozen=True)
class Identity:
    """What a state belongs to.

    Attributes
    ----------
    spec: without the fields that the stage's entry lists as ``speed_only``.
    inputs: SHA-256 of the content by role.
    """

    stage: str
    state_format: str
    spec: dict[str, Any]
    inputs: dict[str, str]

    @classmethod
    def of(cls, stage: str, spec: Spec, inputs: Mapping[str, str]) -> Self:
        entry = STAGES[stage]
        fields = spec.model_dump(mode="json")
        for path in entry.speed_only:
            _drop(fields, path.split("."))
        return cls(stage, entry.state_format, fields, dict(sorted(inputs.items())))

    @property
    def digest(self) -> str:
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def differences(self, now: Identity) -> list[str]:
        """What ``now`` has otherwise, in sentences' parts; empty where both are the same run."""
        if self.stage != now.stage:
            return [f"the stage was {self.stage}, now {now.stage}"]
        found = []
        for role in sorted(self.inputs.keys() | now.inputs.keys()):
            old, new = self.inputs.get(role), now.inputs.get(role)
            if old is None or new is None:
                found.append(f"the input {role!r} was {'not given' if old is None else 'given'} before")
            elif old != new:
                found.append(f"the input {role!r} has another content (SHA-256 {old[:12]}, now {new[:12]})")
        found += [f"spec.{line}" for line in _changes(self.spec, now.spec)]
        if self.state_format != now.state_format:
            found.append(f"the state's format was {self.state_format!r}, now {now.state_format!r}")
        return found


@dataclass(frozen=True)
class Record:
    """``run.json``.

    Attributes
    ----------
    finished: whether the run came to its end.
    before: names in the workspace that were there before the run, and are none of its own.
    made: names that the run made; None while it runs, and after it was killed.
    software: commit and versions of packages that it last ran with.
    """

    identity: Identity
    finished: bool
    before: tuple[str, ...]
    made: tuple[str, ...] | None
    software: dict[str, Any]


def held(folder: Path) -> Record | None:
    """Whose workspace it is; None where no run was in it. Raises OtherRun where that cannot be read."""
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
            f"{path} cannot be read, so whose run the folder holds is unknown. {ADVICE}"
        ) from error


@dataclass(frozen=True)
class Opened:
    """A workspace that a run may use."""

    folder: Path
    identity: Identity
    resumes: bool

    def sign(self, state: Path) -> None:
        """Put ``identity.json`` into a state folder that is about to be saved elsewhere."""
        _write(state / IDENTITY, {"format": FORMAT, "digest": self.identity.digest, **asdict(self.identity)})

    def unsign(self, state: Path) -> None:
        (state / IDENTITY).unlink(missing_ok=True)

    def drop_state(self) -> None:
        """Nothing may go on from the state: it is of inputs that changed meanwhile."""
        for name in _names(self.folder):
            if _is_state(name):
                _remove(self.folder / name)


def check(folder: Path, identity: Identity, *, fresh: bool = False) -> Record | None:
    """Whose the workspace was before. Raises OtherRun where it holds another run and ``fresh`` is off."""
    if fresh:
        with suppress(OtherRun):
            return held(folder)
        return None
    record = held(folder)
    signed = _signature(folder / STATE)
    if record is None:
        if _holds_state(folder) and signed is None:
            raise OtherRun(f"{folder / STATE} holds a state that does not say whose run it is of. {ADVICE}")
        unknown = [name for name in _names(folder) if _is_output(name, identity.stage)]
        if unknown:
            raise OtherRun(f"{folder} holds {unknown[0]}, which no run is known to have made. {ADVICE}")
    for whose in (record.identity if record else None, signed):
        differences = whose.differences(identity) if whose is not None else []
        if differences and (_holds_state(folder) or (record is not None and record.finished)):
            kind = "finished" if record is not None and record.finished else "unfinished"
            raise OtherRun(
                f"{folder} holds the {kind} run of something else: {'; '.join(differences)}. {ADVICE}"
            )
    return record


@contextmanager
def opened(
    folder: Path,
    identity: Identity,
    *,
    fresh: bool = False,
    protected: Sequence[Path] = (),
    software: Mapping[str, Any] | None = None,
) -> Iterator[Opened]:
    """The workspace with the run's own state, or none, and nothing else that a run left there.

    What lies there and was not made by a run stays, and so does what holds one of ``protected``. The run counts as
    finished once the block ends without an exception. Raises OtherRun, and BadInput while another process is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        record = check(folder, identity, fresh=fresh)
        software = dict(software or {})
        same = record is None or not record.identity.differences(identity)
        # A finished run of other software is repeated: its state would give the old software's result.
        outdated = record is not None and record.finished and record.software != software
        resumes = not fresh and same and not outdated and _holds_state(folder)
        kept = {_first_part(folder, path) for path in protected}
        for name in _left(folder, record, identity.stage):
            if name not in kept and not (resumes and _is_state(name)):
                _remove(folder / name)
        if (folder / STATE).is_dir():
            (folder / STATE / IDENTITY).unlink(missing_ok=True)
        before = [name for name in _names(folder) if not _is_state(name)]
        running = Record(identity, False, tuple(before), None, software)
        _save(folder, running)
        finished = False
        try:
            yield Opened(folder, identity, resumes)
            finished = True
        finally:
            made = set(_names(folder)) - set(before)
            _save(folder, replace(running, finished=finished, made=tuple(sorted(made))))


def _left(folder: Path, record: Record | None, stage: str) -> list[str]:
    """Names of what an earlier run left: states, and what it made beside them."""
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
        if name not in (RECORD, f"{RECORD}.part", LOCK)
    )


def _is_state(name: str) -> bool:
    """``state``, and what stages write it by, such as ``state.next``."""
    return name == STATE or name.startswith(f"{STATE}.")


def _is_output(name: str, stage: str) -> bool:
    return name.partition(".")[0] in STAGES[stage].outputs


def _holds_state(folder: Path) -> bool:
    """Whether there is anything to resume from."""
    for name in _names(folder):
        place = folder / name
        if _is_state(name) and (not place.is_dir() or any(p.name != IDENTITY for p in place.iterdir())):
            return True
    return False


def _first_part(folder: Path, path: Path) -> str | None:
    """The name in ``folder`` at or below which ``path`` lies; None where it lies elsewhere."""
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
        raise OtherRun(f"{path} cannot be read, so whose state it is is unknown. {ADVICE}") from error


def _identity(facts: dict[str, Any]) -> Identity:
    found = Identity(
        str(facts["stage"]), str(facts["state_format"]), dict(facts["spec"]), dict(facts["inputs"])
    )
    if facts["format"] != FORMAT or facts["digest"] != found.digest:
        raise ValueError(f"not of format {FORMAT}, or changed since")
    return found


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
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(facts, indent=1) + "\n")
    part.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else has the workspace inside. A lock of the process, which no child of it inherits."""
    with (folder / LOCK).open("wb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise BadInput(
                f"{folder}: another process runs in this folder; wait for it, or choose another folder"
            ) from error
        except OSError:
            pass  # A file system without locks.
        yield


def _drop(fields: dict[str, Any], path: Sequence[str]) -> None:
    for name in path[:-1]:
        below = fields.get(name)
        if not isinstance(below, dict):
            return
        fields = below
    fields.pop(path[-1], None)


def _changes(old: Any, new: Any, path: str = "") -> list[str]:
    """``a.b was 1, now 2`` for each field that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for name in [*new, *(name for name in old if name not in new)]:
            below = f"{path}.{name}" if path else name
            if name not in old:
                lines.append(f"{below} was not there, now {_short(new[name])}")
            elif name not in new:
                lines.append(f"{below} was {_short(old[name])}, now not there")
            else:
                lines += _changes(old[name], new[name], below)
        return lines
    # As JSON: to Python, True is 1.
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    return [] if same else [f"{path} was {_short(old)}, now {_short(new)}"]


def _short(value: Any) -> str:
    text = printable_text(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= 80 else f"{text[:77]}…"
