"""Run one stage and say where its result comes from."""

from __future__ import annotations

import importlib
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vise_core.files.hashing import OnProgress, Snapshot

from .board import Board
from .errors import BadInput, InputChanged, MissingInput, Stopped
from .reporter import LocalReporter, Reporter
from .specs.base import Provenance, Result, Spec
from .specs.stages import STAGES
from .specs.tasks.kinds import named_task
from .workspace import STATE, Identity, Opened, Record, check, opened

SHOWN_BYTES = 64 * 2**20
"""Inputs that are hashed in less show no progress, and are not stopped."""
PACKAGES = ("torch", "torchvision", "scikit-learn", "numpy", "pillow", "pyarrow")


@dataclass(frozen=True)
class PreparedStage:
    """A stage whose inputs are checked and hashed, and whose workspace may be used.

    Attributes
    ----------
    hashes: SHA-256 of each input's content by role.
    snapshots: by role, of the inputs that were hashed here; they are looked at again after the run.
    held: whose run the workspace holds so far; None for a new one.
    """

    name: str
    spec: Spec
    inputs: dict[str, Path]
    workspace: Path
    hashes: dict[str, str]
    snapshots: dict[str, Snapshot]
    identity: Identity
    held: Record | None
    fresh: bool
    names: dict[str, str]

    def run(self, reporter: Reporter) -> Result:
        """Run the stage, then publish its artifacts, unless an input changed meanwhile; the result has provenance.

        Raises InputChanged, Stopped, OtherRun, BadInput where another process has the workspace, or whatever the
        stage raises.
        """
        protected = [*self.inputs.values()]
        if isinstance(reporter, LocalReporter):
            protected.append(reporter.folder)
        with opened(
            self.workspace, self.identity, fresh=self.fresh, protected=protected, software=software()
        ) as place:
            kept = StageReporter(reporter, place)
            started, clock = datetime.now(UTC), time.perf_counter()
            try:
                result = self._runner()(
                    _with_task_name(self.spec, self.inputs, self.names),
                    dict(self.inputs),
                    self.workspace,
                    kept,
                )
            except Exception as error:
                # Also where it was stopped: a state of inputs that changed meanwhile must not be resumed.
                self._check_inputs(kept, error)
                raise
            wall_seconds = time.perf_counter() - clock
            self._check_inputs(kept)
            kept.publish()
        provenance = Provenance(
            stage=self.name,
            seed=self.spec.seed,
            started_at=started.isoformat(timespec="seconds"),
            wall_seconds=round(wall_seconds, 3),
            peak_memory_bytes=_peak_memory(),
            device=_device_name(),
            git_commit=git_commit(),
            packages=_versions(),
            inputs=self.hashes,
            synthetic=result.synthetic,
        )
        return result.with_provenance(provenance)

    def _runner(self) -> Callable[..., Result]:
        module, function = STAGES[self.name].runner.split(":")
        runner: Callable[..., Result] = getattr(importlib.import_module(module), function)
        return runner

    def _check_inputs(self, reporter: StageReporter, error: Exception | None = None) -> None:
        for role, snapshot in self.snapshots.items():
            changes = snapshot.changes()
            if changes:
                reporter.spoil()
                more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
                raise InputChanged(
                    f"the input {role!r} is not what it was when the run started: {', '.join(changes[:3])}{more} "
                    f"(below {snapshot.path}). Nothing was published; run again once the files stay as they are"
                ) from error


def prepare_stage(
    name: str,
    spec: Spec,
    inputs: Mapping[str, Path],
    workspace: Path,
    reporter: Reporter,
    *,
    input_hashes: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> PreparedStage:
    """Check and hash the inputs, and see whether the workspace may be used. Changes nothing.

    Raises MissingInput, BadInput, OtherRun, Stopped.
    """
    entry = STAGES[name]
    for role, wanted in entry.inputs.items():
        if wanted.required and role not in inputs:
            raise MissingInput(f"{entry.title} needs the input {role!r}: {wanted.help}")
    for role, path in inputs.items():
        if role not in entry.inputs:
            raise BadInput(
                f"{entry.title} takes no input {role!r}; it takes {', '.join(entry.inputs) or 'none'}"
            )
        if not path.exists():
            raise MissingInput(f"input {role!r} of {entry.title}: {path} does not exist")
        if workspace.resolve().is_relative_to(path.resolve()):
            raise BadInput(
                f"{workspace}: the run would write into its own input {role!r} ({path}); choose a folder outside of it"
            )
    hashes = {role: sha256 for role, sha256 in (input_hashes or {}).items() if role in inputs}
    snapshots = {
        role: Snapshot.take(path, on_progress=_hash_progress(reporter, role))
        for role, path in inputs.items()
        if role not in hashes
    }
    hashes |= {role: snapshot.sha256 for role, snapshot in snapshots.items()}
    identity = Identity.of(name, spec, hashes)
    held = check(workspace, identity, fresh=fresh)
    return PreparedStage(
        name, spec, dict(inputs), workspace, hashes, snapshots, identity, held, fresh, dict(names or {})
    )


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
) -> Result:
    """Check and hash the inputs, run the stage and return its result with provenance.

    A workspace belongs to one run (``vise_core.workspace``): the same stage, spec and inputs go on in it where they
    were stopped; anything else is rejected, unless ``fresh`` has what an earlier run left there removed first.

    ``input_hashes`` are the SHA-256 of the inputs' content where the caller knows them already. ``names`` are the
    names of inputs by role, such as that of a registered data set; without one, an input has its folder's name.
    Raises MissingInput, BadInput, OtherRun, InputChanged, Stopped, or whatever the stage raises.
    """
    return prepare_stage(
        name, spec, inputs, workspace, reporter, input_hashes=input_hashes, names=names, fresh=fresh
    ).run(reporter)


class StageReporter:
    """What a stage is given as its reporter: artifacts wait until its inputs are known to be as they were.

    A state that is saved elsewhere says whose it is.
    """

    def __init__(self, inner: Reporter, place: Opened) -> None:
        self._inner, self._place = inner, place
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
        """Hand the artifacts on."""
        for name, path in self._artifacts.items():
            self._inner.artifact(name, path)

    def checkpoint(self, path: Path) -> None:
        self._place.sign(path)
        try:
            self._inner.checkpoint(path)
        finally:
            self._place.unsign(path)

    def spoil(self) -> None:
        """Make sure that nothing goes on from what was saved."""
        self._place.drop_state()
        state = self._place.folder / STATE
        state.mkdir()
        self.checkpoint(state)
        state.rmdir()

    def should_stop(self) -> bool:
        return self._inner.should_stop()

    def board(self) -> Board | None:
        return self._inner.board()

    def call_helpers(self, most: int) -> None:
        self._inner.call_helpers(most)


def software() -> dict[str, Any]:
    """Commit of the code and versions of the packages that results depend on."""
    return {"git_commit": git_commit(), "packages": _versions()}


def _hash_progress(reporter: Reporter, role: str) -> OnProgress:
    """Progress of hashing an input, which may be stopped: what was read by then is in the cache."""
    shown = 0

    def told(done: int, total: int) -> None:
        nonlocal shown
        if done - shown < SHOWN_BYTES:
            return
        shown = done
        reporter.progress(done, total, "bytes", phase=f"hashing the input {role}")
        if reporter.should_stop():
            raise Stopped(f"stopped while the input {role!r} was hashed; the stage had not started")

    return told


def _with_task_name(spec: Spec, inputs: Mapping[str, Path], names: Mapping[str, str]) -> Spec:
    """The spec with its task named after its data set, where it has a task without a name.

    For the stage alone: a data set that is renamed later must not make another spec of a run's.
    """
    task = getattr(spec, "task", None)
    if task is None or "dataset" not in inputs:
        return spec
    data = names.get("dataset") or inputs["dataset"].resolve().name
    return spec.model_copy(update={"task": named_task(task, data)})


@cache
def git_commit() -> str | None:
    """The commit that this code was checked out at, or None outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device_name() -> str:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return f"cpu ({platform.processor() or platform.machine()})"
