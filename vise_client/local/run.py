"""``vise run --local``: a stage or a whole recipe in this process, with no server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vise_core.errors import BadInput, OtherRun
from vise_core.reporter import LocalReporter
from vise_core.specs.base import Result
from vise_core.specs.recipes.inputs import the_artifact
from vise_core.specs.recipes.recipe import RecipeSpec, possible_steps
from vise_core.specs.stages import STAGES, validate_spec
from vise_core.stage import CheckedRun, run_stage
from vise_core.workspace import ADVICE

STEPS = "steps.json"
"""In the folder of a recipe: which steps have a folder there."""


class ConsoleReporter(LocalReporter):
    """A LocalReporter that also shows a bar."""

    def __init__(self, folder: Path, bar: Progress, task: TaskID) -> None:
        super().__init__(folder)
        self._bar, self._task = bar, task

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total, description=f"{phase or unit}")

    def log(self, message: str, *, level: str = "info") -> None:
        self.messages.append(message)
        self._bar.console.print(
            message, style={"warning": "yellow", "error": "red"}.get(level), highlight=False
        )


def run_locally(
    stage: str,
    spec: Mapping[str, Any],
    inputs: Mapping[str, Path],
    out: Path,
    console: Console,
    *,
    fresh: bool = False,
) -> tuple[Result, dict[str, Path]]:
    """(result, artifacts by name). ``out`` holds ``artifacts``, ``work`` and ``result.json`` afterwards.

    The folder belongs to one run: the same stage, spec and inputs go on where they were stopped, or run again. Raises
    OtherRun for anything else, unless ``fresh`` removes the results and the state of the run before.
    """
    checked = validate_spec(stage, dict(spec))
    inputs = {role: artifact_in(path, stage, role) for role, path in inputs.items()}
    _check_place(inputs, out)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        reporter = ConsoleReporter(out / "artifacts", bar, bar.add_task(stage, total=None))

        def remove_old_results(run: CheckedRun) -> None:
            if run.previous is None and not fresh and (left := _results(out)):
                raise OtherRun(f"{left[0]} is not known to be of any run. {ADVICE}")
            if fresh or run.previous is None or run.previous.identity.differences(run.identity):
                for path in _results(out):
                    _remove(path)

        result = run_stage(
            stage, checked, inputs, out / "work", reporter, fresh=fresh, on_checked=remove_old_results
        )
    part = out / "result.json.part"
    part.write_text(result.model_dump_json(indent=1) + "\n")
    part.replace(out / "result.json")
    return result, reporter.artifacts


def artifact_in(path: Path, stage: str, role: str) -> Path:
    """The folder of an earlier local run stands for the one of its artifacts that fits; other paths for themselves."""
    made = path / "artifacts"
    wanted = STAGES[stage].inputs.get(role)
    if wanted is None or not (path / "result.json").is_file() or not made.is_dir():
        return path
    names = {entry.stem: entry for entry in sorted(made.iterdir())}
    try:
        return names[the_artifact(names, (wanted.artifact, *wanted.also), role)]
    except ValueError as error:
        raise BadInput(
            f"--input {role}={path}: {error} as {made}/NAME".replace("write RUN:artifact", "give one")
        ) from error


def run_recipe_locally(
    recipe: RecipeSpec,
    given: Mapping[str, Path],
    out: Path,
    console: Console,
    *,
    fresh: bool = False,
) -> dict[str, Result]:
    """Every step in order, each in a folder of its own below ``out``; results by step.

    Each step's folder belongs to one run, as in ``run_locally``. Raises BadInput, OtherRun.
    """
    try:
        steps = possible_steps(recipe, given)
    except ValueError as error:
        raise BadInput(f"--input {error}") from error
    _claim_for_steps(out, list(steps), given, fresh=fresh)
    results: dict[str, Result] = {}
    artifacts: dict[str, dict[str, Path]] = {}
    for name, step in steps.items():
        inputs = {}
        for role, ref in step.inputs.items():
            if ref.given is not None:
                inputs[role] = given[ref.given]
                continue
            if ref.step is None or ref.artifact not in artifacts[ref.step]:
                raise BadInput(
                    f"steps.{name}.inputs.{role}: only artifacts of earlier steps can be read locally"
                )
            inputs[role] = artifacts[ref.step][ref.artifact]
        console.rule(step.title or name)
        results[name], artifacts[name] = run_locally(
            step.stage, step.spec, inputs, out / name, console, fresh=fresh
        )
        console.print(results[name].headline())
    return results


def _check_place(inputs: Mapping[str, Path], out: Path) -> None:
    """Raises BadInput where the run would overwrite what it reads, OtherRun where a recipe's runs are there."""
    if (out / STEPS).exists():
        raise OtherRun(f"{out} holds the steps of a recipe; choose another folder with --out")
    for role, path in inputs.items():
        if any(path.resolve().is_relative_to(result.resolve()) for result in _results(out)):
            raise BadInput(
                f"input {role!r}: {path} is a result in {out}, where this run would write its own; "
                "choose another folder with --out"
            )


def _results(out: Path) -> list[Path]:
    """What earlier runs left in ``out`` for people: artifacts of any stage, and the result."""
    names = {name for entry in STAGES.values() for name in entry.outputs}
    folder = out / "artifacts"
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in found if path.name.partition(".")[0] in names]
    return [*found, *(path for path in [out / "result.json"] if path.exists())]


def _claim_for_steps(out: Path, steps: list[str], given: Mapping[str, Path], *, fresh: bool) -> None:
    """Note which steps are in the folder. Raises OtherRun for steps of another recipe, BadInput."""
    if (out / "work").exists() or _results(out):
        raise OtherRun(f"{out} holds the run of a stage; choose another folder with --out")
    for role, path in given.items():
        if any(path.resolve().is_relative_to((out / step).resolve()) for step in steps):
            raise BadInput(f"input {role!r}: {path} lies where a step would write; choose another --out")
    record = out / STEPS
    before = json.loads(record.read_bytes())["steps"] if record.exists() else []
    others = [step for step in before if step not in steps]
    if others and not fresh:
        raise OtherRun(f"{out} holds the step {others[0]!r} of another recipe. {ADVICE}")
    for step in others:
        _remove(out / step)
    out.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"steps": steps}) + "\n")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
