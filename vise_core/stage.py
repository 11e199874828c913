"""Run one stage: check and hash its inputs, run its code, publish its artifacts and record the result's provenance."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vise_core import provenance
from vise_core.files.hashing import OnProgress, Snapshot

from .errors import BadInput, InputChanged, MissingInput, Stopped
from .identity import Identity
from .reporter import LocalReporter, Reporter
from .specs.base import Provenance, Result, Spec
from .specs.stage import Stage
from .specs.stages import STAGES
from .specs.tasks.kinds import named_task
from .workspace import STATE, Record, Workspace, check_workspace, open_workspace

SHOWN_BYTES = 64 * 2**20
"""While inputs are hashed, progress is reported and a stop is checked for after each so many bytes."""


@dataclass(frozen=True)
class CheckedRun:
    """A run whose inputs are checked and hashed, and whose workspace may be used.

    Attributes
    ----------
    hashes: role → SHA-256 of the input's content.
    identity: the identity of this run.
    previous: record of the previous run in the workspace; None for a new workspace.
    """

    hashes: Mapping[str, str]
    identity: Identity
    previous: Record | None


def run_stage(
    name: str,
    spec: Spec,
    inputs: Mapping[str, Path],
    workspace: Path,
    reporter: Reporter,
    *,
    input_hashes: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    fresh: bool = False,
    on_checked: Callable[[CheckedRun], None] = lambda _: None,
) -> Result:
    """Check and hash the inputs, run the stage and return its result with provenance.

    A workspace belongs to one run (``vise_core.workspace``): the same stage, spec and inputs resume where they were
    stopped; any other run is rejected, unless ``fresh`` is on, which first removes everything that an earlier run left.
    Artifacts are published after the stage, once its inputs are known to be unchanged.

    Parameters
    ----------
    inputs: role → file or folder.
    input_hashes: role → SHA-256 of the content of inputs that the caller has already hashed.
    names: role → display name of the input, such as a registered data set's; by default the folder's name.
    on_checked: called after all checks, before the workspace is changed and the stage starts.

    Raises MissingInput if a needed input is not given or does not exist, BadInput for one that the stage does not take
    or that holds the workspace, OtherRun if the workspace belongs to another run, InputChanged if an input changed
    while the stage ran, Stopped if the reporter asks to stop, and the errors of the stage.
    """
    stage = STAGES[name]
    _check_inputs(stage, inputs, workspace)
    hashes = {role: sha256 for role, sha256 in (input_hashes or {}).items() if role in inputs}
    snapshots = {
        role: Snapshot.take(path, on_progress=_hash_progress(reporter, role))
        for role, path in inputs.items()
        if role not in hashes
    }
    hashes |= {role: snapshot.sha256 for role, snapshot in snapshots.items()}
    identity = Identity.of(name, spec, hashes)
    on_checked(CheckedRun(hashes, identity, check_workspace(workspace, identity, fresh=fresh)))
    protected = [*inputs.values(), *([reporter.folder] if isinstance(reporter, LocalReporter) else [])]
    software = provenance.software()
    with open_workspace(workspace, identity, fresh=fresh, protected=protected, software=software) as opened:
        stage_reporter = StageReporter(reporter, opened)
        run = _load(stage)
        started, clock = datetime.now(UTC), time.perf_counter()
        try:
            result = run(_with_task_name(spec, inputs, names or {}), dict(inputs), workspace, stage_reporter)
        except Exception as error:
            # Also after a stop: a state of inputs that have changed must not be resumed.
            _check_unchanged(snapshots, stage_reporter, error)
            raise
        wall_seconds = time.perf_counter() - clock
        _check_unchanged(snapshots, stage_reporter)
        stage_reporter.publish()
    return result.with_provenance(
        Provenance(
            stage=name,
            seed=spec.seed,
            started_at=started.isoformat(timespec="seconds"),
            wall_seconds=round(wall_seconds, 3),
            peak_memory_bytes=provenance.peak_memory(),
            device=provenance.device_name(),
            inputs=hashes,
            synthetic=result.synthetic,
            **software,
        )
    )


class StageReporter:
    """The reporter that a stage gets: it holds artifacts back until the inputs are known to be unchanged.

    It writes the run's identity into states that are saved elsewhere.
    """

    def __init__(self, inner: Reporter, workspace: Workspace) -> None:
        self._inner, self._workspace = inner, workspace
        self._artifacts: dict[str, Path] = {}

    def metrics(self, step: int, values: Mapping[str, float], *, epoch: float | None = None) -> None:
        self._inner.metrics(step, values, epoch=epoch)

    def log(self, message: str, *, level: str = "info") -> None:
        self._inner.log(message, level=level)

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        self._inner.progress(done, total, unit, phase=phase)

    def artifact(self, name: str, path: Path) -> None:
        self._artifacts[name] = path

    def publish(self) -> None:
        """Publish the artifacts that were held back."""
        for name, path in self._artifacts.items():
            self._inner.artifact(name, path)

    def checkpoint(self, path: Path) -> None:
        self._workspace.sign(path)
        try:
            self._inner.checkpoint(path)
        finally:
            self._workspace.unsign(path)

    def discard_state(self) -> None:
        """Replace the saved state by an empty one, so that nothing resumes from it."""
        self._workspace.drop_state()
        state = self._workspace.folder / STATE
        state.mkdir()
        self.checkpoint(state)
        state.rmdir()

    def should_stop(self) -> bool:
        return self._inner.should_stop()


def _check_inputs(stage: Stage[Any], inputs: Mapping[str, Path], workspace: Path) -> None:
    for role, entry in stage.inputs.items():
        if entry.required and role not in inputs:
            raise MissingInput(f"{stage.title} needs the input {role!r}: {entry.help}")
    for role, path in inputs.items():
        if role not in stage.inputs:
            raise BadInput(
                f"{stage.title} takes no input {role!r}; it takes {', '.join(stage.inputs) or 'none'}"
            )
        if not path.exists():
            raise MissingInput(f"input {role!r} of {stage.title}: {path} does not exist")
        if workspace.resolve().is_relative_to(path.resolve()):
            raise BadInput(
                f"{workspace}: the run would write into its own input {role!r} ({path}); choose a folder outside of it"
            )


def _check_unchanged(
    snapshots: Mapping[str, Snapshot], reporter: StageReporter, error: Exception | None = None
) -> None:
    """Discard the state and raise InputChanged, from ``error``, if an input has changed since the run started."""
    for role, snapshot in snapshots.items():
        changes = snapshot.changes()
        if changes:
            reporter.discard_state()
            more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
            raise InputChanged(
                f"the input {role!r} has changed since the run started: {', '.join(changes[:3])}{more} "
                f"(below {snapshot.path}). Nothing was published; run again once the files no longer change"
            ) from error


def _load(stage: Stage[Any]) -> Callable[..., Result]:
    """Import the stage's code."""
    module, function = stage.runner.split(":")
    run: Callable[..., Result] = getattr(importlib.import_module(module), function)
    return run


def _hash_progress(reporter: Reporter, role: str) -> OnProgress:
    """Return a callback that reports the progress of hashing an input and raises Stopped when the run is stopped."""
    shown = 0

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if done - shown < SHOWN_BYTES:
            return
        shown = done
        reporter.progress(done, total, "bytes", phase=f"hashing the input {role}")
        if reporter.should_stop():
            raise Stopped(f"stopped while the input {role!r} was hashed; the stage had not started")

    return progress


def _with_task_name(spec: Spec, inputs: Mapping[str, Path], names: Mapping[str, str]) -> Spec:
    """Return the spec with an unnamed task named after its data set.

    Only the stage gets this name: renaming a data set must not change the spec of a run.
    """
    task = getattr(spec, "task", None)
    if task is None or "dataset" not in inputs:
        return spec
    data = names.get("dataset") or inputs["dataset"].resolve().name
    return spec.model_copy(update={"task": named_task(task, data)})
