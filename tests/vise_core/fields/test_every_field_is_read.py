"""Every field of every spec is read by its stage: no form offers a field that changes nothing.

Each stage runs on tiny data with specs that set each of its fields to another value than its default, and access to the
fields is recorded while the stage's own code runs. Tasks, splits and sources of posts, which several specs share, are
covered once. The seed is part of every result's provenance, also where a stage draws nothing.
"""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from vise_core import stage as stage_module
from vise_core.errors import BadInput
from vise_core.reporter import LocalReporter
from vise_core.specs.base import Record
from vise_core.specs.posts.sources import PostSource
from vise_core.specs.stages import STAGES, validate_spec
from vise_core.specs.tasks.kinds import CsvTask, FolderTask, Task
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.stage import run_stage

from .cases import CASES, Case
from .material import write_material

Read = tuple[type[Record], str]
"""(class of the record, name of the field)."""

OURS = sorted(name for name, stage in STAGES.items() if stage.runner.startswith("vise_core."))


def records(annotation: Any) -> Iterator[type[Record]]:
    """The classes of records in an annotation, and in their fields."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        yield annotation
        for entry in annotation.model_fields.values():
            yield from records(entry.annotation)
    for part in get_args(annotation):
        yield from records(part)


def fields_of(spec: type[Record]) -> set[Read]:
    """Every field of a spec and of the records in it; neither records themselves nor names of their kind."""
    return {
        (record, name)
        for record in records(spec)
        for name, entry in record.model_fields.items()
        if not set(records(entry.annotation))
        and not (get_origin(entry.annotation) is Literal and len(get_args(entry.annotation)) == 1)
    }


METRICS: set[Read] = {(FolderTask, "metric"), (CsvTask, "metric")}
"""Of these fields of a task only ``evaluate`` has a use."""

SHARED = {
    read
    for shared in (PostSource, Task, SplitSpec)
    for record in records(shared)
    for read in fields_of(record)
} - METRICS
"""Fields that several stages read by the same code."""


def changed(record: Record) -> set[Read]:
    """The fields of a record, and of those in it, that have another value than their default."""
    found: set[Read] = set()
    for name, entry in type(record).model_fields.items():
        value = getattr(record, name)
        if value != entry.get_default(call_default_factory=True):
            found.add((type(record), name))
        if isinstance(value, Record):
            found |= changed(value)
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[Read]:
    """The fields that are read while a stage's own code runs."""
    seen: set[Read] = set()
    running = [False]
    load = stage_module._load

    def record_read(self: Record, name: str) -> Any:
        if running[0] and name in type(self).__pydantic_fields__:
            seen.add((type(self), name))
        return object.__getattribute__(self, name)

    def load_recorded(stage: Any) -> Any:
        run = load(stage)

        def recorded(*arguments: Any) -> Any:
            running[0] = True
            try:
                return run(*arguments)
            finally:
                running[0] = False

        return recorded

    monkeypatch.setattr(stage_module, "_load", load_recorded)
    monkeypatch.setattr(Record, "__getattribute__", record_read, raising=False)
    return seen


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, layouts: Any) -> dict[str, Path]:
    """Inputs by name."""
    return write_material(tmp_path_factory.mktemp("material"), layouts)


def run(case: Case, material: dict[str, Path], folder: Path, reads: set[Read]) -> set[Read]:
    """The fields of the case's spec that have another value than their default and were read."""
    spec = validate_spec(case.stage, case.spec)
    inputs = {role: material[name] for role, name in case.inputs.items()}
    try:
        result = run_stage(case.stage, spec, inputs, folder / "work", LocalReporter(folder / "artifacts"))
    except BadInput:
        assert case.fails
    else:
        assert not case.fails
        assert result.provenance is not None
        assert result.provenance.seed == spec.seed
    shutil.rmtree(folder / "work", ignore_errors=True)
    return changed(spec) & set(reads)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, material: dict[str, Path]) -> None:
    """No download: an archive of posts, and no weights."""

    def fetch(_url: str, target: Path, **_options: Any) -> str:
        with zipfile.ZipFile(target, "w") as archive:
            for path in material["pictures"].iterdir():
                archive.write(path, path.name)
        return "ab" * 32

    def load(*_args: Any, **_options: Any) -> None:
        raise BadInput("there is no network")

    monkeypatch.setattr("vise_core.data.fetch.download", fetch)
    monkeypatch.setattr("vise_core.models.weights.load", load)
    monkeypatch.setattr("torch.compile", lambda module: module)
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "cache"))


def test_every_stage_has_a_case() -> None:
    assert sorted({case.stage for case in CASES}) == OURS


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("evaluate", "pretrain") else name
        for name in OURS
    ],
)
def test_every_field_of_the_spec_is_read(
    stage: str, material: dict[str, Path], tmp_path: Path, reads: set[Read], offline: None
) -> None:
    done: set[Read] = set()
    for number, case in enumerate(case for case in CASES if case.stage == stage and not case.shared):
        reads.clear()
        done |= run(case, material, tmp_path / str(number), reads)
    elsewhere = SHARED if stage == "evaluate" else SHARED | METRICS
    left = fields_of(STAGES[stage].spec) - done - elsewhere - {(STAGES[stage].spec, "seed")}
    assert sorted(f"{record.__name__}.{name}" for record, name in left) == []


def test_every_field_of_sources_and_tasks_is_read(
    material: dict[str, Path], tmp_path: Path, reads: set[Read], offline: None
) -> None:
    done: set[Read] = set()
    for number, case in enumerate(CASES):
        if case.shared:
            reads.clear()
            done |= run(case, material, tmp_path / str(number), reads)
    left = SHARED - done
    assert sorted(f"{record.__name__}.{name}" for record, name in left) == []
