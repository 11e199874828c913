"""``vise run --local``: run a stage or a whole recipe in this process, without a server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vise_core.errors import BadInput, OtherRun
from vise_core.escaping import terminal_escape
from vise_core.files.whole import whole_file
from vise_core.reporter import LocalReporter
from vise_core.specs.base import Result
from vise_core.specs.recipes.inputs import fitting_artifact
from vise_core.specs.recipes.recipe import RecipeSpec, possible_steps
from vise_core.specs.stages import STAGES, validate_spec
from vise_core.stage import CheckedRun, run_stage
from vise_core.workspace import ADVICE

STEPS = "steps.json"
"""File in the folder of a recipe: names of the steps that have a folder there."""


class ConsoleReporter(LocalReporter):
    """A LocalReporter that also shows a progress bar and log messages on the console."""

    def __init__(self, folder: Path, bar: Progress, task: TaskID) -> None:
        super().__init__(folder)
        self._bar, self._task = bar, task

    def progress(self, done: float, total: float | None, unit: str, *, phase: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total, description=f"{phase or unit}")

    def log(self, message: str, *, level: str = "info") -> None:
        self.messages.append(message)
        self._bar.console.print(
            terminal_escape(message), style={"warning": "yellow", "error": "red"}.get(level), highlight=False
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
    """Run a stage and return its result and its artifacts by name.

    Writes ``artifacts``, ``work`` and ``result.json`` in ``out``. The folder belongs to one run: the same stage, spec
    and inputs continue from their saved state, or run again.

    Raises OtherRun where ``out`` holds another run, unless ``fresh`` removes its results and state; BadInput where an
    input lies where the run would write.
    """
    checked = validate_spec(stage, dict(spec))
    inputs = {role: artifact_in(path, stage, role) for role, path in inputs.items()}
    _check_place(inputs, out)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        reporter = ConsoleReporter(out / "artifacts", bar, bar.add_task(stage, total=None))

        def remove_old_results(run: CheckedRun) -> None:
            if run.previous is None and not fresh and (results := _results(out)):
                raise OtherRun(f"{results[0]} belongs to no known run. {ADVICE}")
            if fresh or run.previous is None or run.previous.identity.differences(run.identity):
                for path in _results(out):
                    _remove(path)

        result = run_stage(
            stage, checked, inputs, out / "work", reporter, fresh=fresh, on_checked=remove_old_results
        )
    with whole_file(out / "result.json") as part:
        part.write_text(result.model_dump_json(indent=1) + "\n")
    return result, reporter.artifacts


def artifact_in(path: Path, stage: str, role: str) -> Path:
    """Return the artifact that fits the role if ``path`` is the folder of a local run, else ``path``.

    Raises BadInput if the run has none that fits, or several.
    """
    folder = path / "artifacts"
    stage_input = STAGES[stage].inputs.get(role)
    if stage_input is None or not (path / "result.json").is_file() or not folder.is_dir():
        return path
    names = {entry.stem: entry for entry in sorted(folder.iterdir())}
    try:
        return names[fitting_artifact(names, (stage_input.artifact, *stage_input.also), role)]
    except ValueError as error:
        raise BadInput(
            f"--input {role}={path}: {error} as {folder}/NAME".replace("write RUN:artifact", "give one")
        ) from error


def run_recipe_locally(
    recipe: RecipeSpec,
    inputs: Mapping[str, Path],
    out: Path,
    console: Console,
    *,
    fresh: bool = False,
) -> dict[str, Result]:
    """Run the steps of a recipe in order, each in a folder of its own below ``out``; return the results by step.

    ``inputs`` are the recipe's inputs by role. Each step's folder belongs to one run, as of ``run_locally``. Raises
    BadInput for an input that is missing or unknown, OtherRun if a folder belongs to another run, and the errors of the
    stages.
    """
    try:
        steps = possible_steps(recipe, inputs)
    except ValueError as error:
        raise BadInput(f"--input {error}") from error
    _claim_for_steps(out, list(steps), inputs, fresh=fresh)
    results: dict[str, Result] = {}
    artifacts: dict[str, dict[str, Path]] = {}
    for name, step in steps.items():
        step_inputs = {}
        for role, ref in step.inputs.items():
            if ref.given is not None:
                step_inputs[role] = inputs[ref.given]
                continue
            if ref.step is None or ref.artifact not in artifacts[ref.step]:
                raise BadInput(
                    f"steps.{name}.inputs.{role}: only artifacts of earlier steps can be read locally"
                )
            step_inputs[role] = artifacts[ref.step][ref.artifact]
        console.rule(terminal_escape(step.title or name, one_line=True))
        results[name], artifacts[name] = run_locally(
            step.stage, step.spec, step_inputs, out / name, console, fresh=fresh
        )
        console.print(results[name].headline())
    return results


def _check_place(inputs: Mapping[str, Path], out: Path) -> None:
    """Raise BadInput where the run would overwrite its input, OtherRun where ``out`` holds the steps of a recipe."""
    if (out / STEPS).exists():
        raise OtherRun(f"{out} holds the steps of a recipe; choose another folder with --out")
    for role, path in inputs.items():
        if any(path.resolve().is_relative_to(result.resolve()) for result in _results(out)):
            raise BadInput(
                f"input {role!r}: {path} is a result in {out}, where this run would write its own; "
                "choose another folder with --out"
            )


def _results(out: Path) -> list[Path]:
    """Return the paths of the results in ``out``: artifacts of any stage, and ``result.json``."""
    names = {name for entry in STAGES.values() for name in entry.outputs}
    folder = out / "artifacts"
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    artifacts = [path for path in entries if path.name.partition(".")[0] in names]
    return [*artifacts, *(path for path in [out / "result.json"] if path.exists())]


def _claim_for_steps(out: Path, steps: list[str], inputs: Mapping[str, Path], *, fresh: bool) -> None:
    """Record the recipe's steps in its folder. Raises OtherRun where it holds steps of another recipe, BadInput."""
    if (out / "work").exists() or _results(out):
        raise OtherRun(f"{out} holds the run of a stage; choose another folder with --out")
    for role, path in inputs.items():
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
