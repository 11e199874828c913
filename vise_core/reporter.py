"""Reporters: how a stage reports metrics, log lines, progress, artifacts and checkpoints to its caller."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from .errors import BadInput, Stopped, ViseError
from .specs.base import Name

log = logging.getLogger("vise")
SAVE_SECONDS = 5.0
"""Time that ``PacedCheckpoints`` may always take."""
_NAME: TypeAdapter[str] = TypeAdapter(Name)


@lru_cache(1000)
def check_metric_name(name: str) -> None:
    """Raise BadInput for a metric's name that cannot be stored: too long, or no text."""
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BadInput(f"the metric name {name[:40]!r} ({len(name):,} characters): {reason}") from error


class Reporter(Protocol):
    """The interface through which a stage reports to its caller, such as a notebook or the worker."""

    def metrics(self, step: int, values: Mapping[str, float], *, epoch: float | None = None) -> None:
        """Log the values of metrics at a step. A resumed stage may log a (name, step) again; it counts once.

        Raises BadInput for a name that cannot be stored.
        """

    def log(self, message: str, *, level: str = "info") -> None:
        """Write one line to the run's log; ``level`` is info, warning or error."""

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        """Report how far the stage is; ``total`` is None where it is not known."""

    def artifact(self, name: str, path: Path) -> None:
        """Publish a finished file or folder as one of the stage's declared outputs."""

    def checkpoint(self, path: Path) -> None:
        """Save a whole state folder to resume from; it replaces the previous one.

        After a crash the folder's content is back at ``workspace / "state"`` before ``run`` is called.
        """

    def should_stop(self) -> bool:
        """Return True if the run is cancelled or paused: save the state, call checkpoint, raise ``errors.Stopped``."""


class NullReporter:
    """A reporter that discards everything, for ranks other than rank 0."""

    def metrics(self, step: int, values: Mapping[str, float], *, epoch: float | None = None) -> None: ...

    def log(self, message: str, *, level: str = "info") -> None: ...

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None: ...

    def artifact(self, name: str, path: Path) -> None: ...

    def checkpoint(self, path: Path) -> None: ...

    def should_stop(self) -> bool:
        return False


@dataclass
class LocalReporter:
    """A reporter for notebooks, the command line's ``--local`` and tests.

    It keeps metrics in memory and artifacts in a folder, and logs to the ``vise`` logger.

    Attributes
    ----------
    folder: where artifacts are copied to, as ``folder / name``.
    curves: {metric name: {step: value}}.
    artifacts: {name: path of the copy}.
    messages: log lines so far. stop: what ``should_stop`` returns.
    """

    folder: Path
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    stop: bool = False

    def metrics(self, step: int, values: Mapping[str, float], *, epoch: float | None = None) -> None:  # noqa: ARG002 - part of the protocol
        for name, value in values.items():
            check_metric_name(name)
            self.curves.setdefault(name, {})[step] = float(value)

    def log(self, message: str, *, level: str = "info") -> None:
        self.messages.append(message)
        log.log(logging.getLevelNamesMapping()[level.upper()], message)

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        log.debug("%s %s/%s %s", phase, done, total, unit)

    def artifact(self, name: str, path: Path) -> None:
        target = self.folder / name if path.is_dir() else (self.folder / name).with_suffix(path.suffix)
        if target.resolve() != path.resolve():
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(target, path)
        self.artifacts[name] = target

    def checkpoint(self, path: Path) -> None:
        """Do nothing: the state stays in the workspace, which outlives the run."""

    def should_stop(self) -> bool:
        return self.stop


class PacedCheckpoints:
    """Checkpoints of a state that grows a finished part at a time, so that a crash loses no finished part.

    Each part is saved at once, unless saves have taken more than SAVE_SECONDS and a tenth of the time so far: then several
    are saved together. The last are saved when the block ends, also by a stop or an error of the stage.
    """

    def __init__(self, reporter: Reporter, state: Path) -> None:
        self._reporter, self._state = reporter, state
        self._began, self._spent = time.monotonic(), 0.0
        self._pending = False

    def __enter__(self) -> PacedCheckpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # What ends this process leaves no time for a save.
        ended = kind is None or issubclass(kind, ViseError)
        if kind is Stopped or (self._pending and ended):
            self._save()

    def save(self) -> None:
        """Save the state with a new part, now or a little later."""
        self._pending = True
        if self._spent < SAVE_SECONDS + (time.monotonic() - self._began) / 10:
            self._save()

    def _save(self) -> None:
        began = time.monotonic()
        self._reporter.checkpoint(self._state)
        self._spent += time.monotonic() - began
        self._pending = False


def _replace(target: Path, source: Path) -> None:
    """Replace ``target`` by a copy of a file or folder; after an error the old target is back."""
    part, old = (target.with_name(f".{target.name}.{uuid4().hex}.{end}") for end in ("part", "old"))
    try:
        if source.is_dir():
            shutil.copytree(source, part)
        else:
            shutil.copy2(source, part)
        if target.is_dir() or (target.exists() and part.is_dir()):
            # A folder cannot be renamed over a folder that holds files.
            target.rename(old)
        part.replace(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise
    finally:
        for path in (part, old):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
