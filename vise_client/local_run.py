"""``vise run --local``: a stage or a whole recipe in this process, with no server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from vise_core.errors import BadInput
from vise_core.reporter import LocalReporter
from vise_core.specs.base import Result
from vise_core.specs.recipes import RecipeSpec, possible_steps, the_artifact
from vise_core.specs.stages import STAGES, validate_spec
from vise_core.stage import run_stage


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
    stage: str, spec: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, console: Console
) -> tuple[Result, dict[str, Path]]:
    """(result, artifacts by name). ``out`` holds ``artifacts``, ``work`` and ``result.json`` afterwards."""
    checked = validate_spec(stage, dict(spec))
    inputs = {role: artifact_in(path, stage, role) for role, path in inputs.items()}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        reporter = ConsoleReporter(out / "artifacts", bar, bar.add_task(stage, total=None))
        result = run_stage(stage, checked, inputs, out / "work", reporter)
    (out / "result.json").write_text(result.model_dump_json(indent=1) + "\n")
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
    recipe: RecipeSpec, given: Mapping[str, Path], out: Path, console: Console
) -> dict[str, Result]:
    """Every step in order, each in a folder of its own below ``out``; results by step. Raises BadInput."""
    try:
        steps = possible_steps(recipe, given)
    except ValueError as error:
        raise BadInput(f"--input {error}") from error
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
        results[name], artifacts[name] = run_locally(step.stage, step.spec, inputs, out / name, console)
        console.print(results[name].headline())
    return results
