"""Run one stage and say where its result comes from."""

from __future__ import annotations

import importlib
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .errors import BadInput, MissingInput
from .hashing import tree_sha256
from .reporter import Reporter
from .specs.base import Provenance, Result, Spec
from .specs.stages import STAGES
from .specs.tasks import named_task

PACKAGES = ("torch", "torchvision", "scikit-learn", "numpy", "pillow", "pyarrow")


def run_stage(
    name: str,
    spec: Spec,
    inputs: Mapping[str, Path],
    workspace: Path,
    reporter: Reporter,
    *,
    input_hashes: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> Result:
    """Check the inputs, run the stage and return its result with provenance.

    ``input_hashes`` are the SHA-256 of the inputs' content where the caller knows them already. ``names`` are the
    names of inputs by role, such as that of a registered data set; without one, an input has its folder's name.
    Raises MissingInput, BadInput, Stopped, or whatever the stage raises.
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
    workspace.mkdir(parents=True, exist_ok=True)
    module, function = entry.runner.split(":")
    started, clock = datetime.now(UTC), time.perf_counter()
    result: Result = getattr(importlib.import_module(module), function)(
        _with_task_name(spec, inputs, names or {}), dict(inputs), workspace, reporter
    )
    hashes = dict(input_hashes or {})
    hashes.update({role: tree_sha256(path) for role, path in inputs.items() if role not in hashes})
    provenance = Provenance(
        stage=name,
        seed=spec.seed,
        started_at=started.isoformat(timespec="seconds"),
        wall_seconds=round(time.perf_counter() - clock, 3),
        peak_memory_bytes=_peak_memory(),
        device=_device_name(),
        git_commit=git_commit(),
        packages=_versions(),
        inputs=hashes,
        synthetic=result.synthetic,
    )
    return result.model_copy(update={"provenance": provenance})


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
