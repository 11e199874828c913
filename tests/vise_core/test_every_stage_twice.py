"""Every stage twice in one folder, with one thing changed: the result of a fresh folder, bit for bit, or a rejection.

A stage is covered by its entry in ``CASES``; a stage without one fails. What is changed is every field of its spec and
every input that it is given: no case names them.
"""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from vise_core.errors import BadInput, InputChanged, OtherRun, Stopped
from vise_core.reporter import LocalReporter
from vise_core.specs.stages import STAGES, validate_spec
from vise_core.stage import run_stage

pytestmark = pytest.mark.slow


Spec = dict[str, Any]
Inputs = dict[str, Path]

TASK = {"kind": "folder"}
CLUSTER: Spec = {
    "subset": {"cluster_fraction": 0.4},
    "comments": {"kmeans": {"k": 6}},
    "reactions": {"kmeans": {"k": 3}},
}
EVALUATE: Spec = {
    "task": TASK,
    "weights": {"kind": "random", "backbone": "efficientnet_lite0"},
    "augment": False,
    "image_size": 32,
    "epochs": 2,
    "milestones": [1],
    "splits": {"count": 2},
    "base_lrs": [0.1, 0.01],
    "weight_decays": [0.001],
}


@dataclass(frozen=True)
class Case:
    """How a stage is run in little.

    Attributes
    ----------
    other: another spec, which makes fewer or other files.
    inputs: role → name of what ``material`` made.
    """

    spec: Spec
    other: Spec
    inputs: Mapping[str, str] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "ingest": Case(
        {"source": {"kind": "jsonl"}, "posts_per_shard": 40}, {"posts_per_shard": 200}, {"source": "raw"}
    ),
    "fetch": Case({"samples": 6}, {"samples": 2}, {"archive": "archive"}),
    "survey": Case({"samples": 6}, {"samples": 2}, {"dataset": "evaluation_set"}),
    "sample_tasks": Case(
        {"kinds": ["politics", "cub"], "images": 58, "image_size": 32},
        {"kinds": ["politics", "cub"], "images": 56, "image_size": 32},
    ),
    "cluster": Case(CLUSTER, CLUSTER | {"comments": None}, {"posts": "posts"}),
    "label": Case({}, {"shuffle_engagement": True}, {"posts": "posts", "clusterer": "clusterer"}),
    "explore": Case(
        {"images": 3, "comments": 2},
        {"images": 0},
        {"posts": "posts", "clusterer": "clusterer", "labels": "labels"},
    ),
    "pretrain": Case(
        {"backbone": "efficientnet_lite0", "batch": 24, "image_size": 32, "epochs": 1},
        {
            "backbone": "efficientnet_lite0",
            "batch": 24,
            "image_size": 32,
            "epochs": 1,
            "signals": ["reactions"],
        },
        {"posts": "posts", "labels": "labels"},
    ),
    "import": Case({}, {"row": "Ours"}, {"file": "checkpoint"}),
    "evaluate": Case(EVALUATE, EVALUATE | {"splits": {"count": 2, "seed": 3}}, {"dataset": "evaluation_set"}),
    "integrity": Case(
        {"task": TASK, "examples": 4},
        {"task": TASK, "examples": 1},
        {"dataset": "evaluation_set", "posts": "posts", "labels": "labels", "clusterer": "clusterer"},
    ),
    "explain": Case(
        {"task": TASK, "limit": 4},
        {"task": TASK, "limit": 2},
        {"predictor": "predictor", "dataset": "evaluation_set"},
    ),
    "qualitative": Case(
        {"task": TASK, "limit": 3},
        {"task": TASK, "limit": 1},
        {"dataset": "evaluation_set", "predictor": "predictor", "predictor_2": "predictor"},
    ),
}

OURS = sorted(name for name, entry in STAGES.items() if entry.runner.startswith("vise_core."))
UNMEASURED = {"seconds", "iteration_seconds", "images_per_second", "provenance"}
"""Times: all else must be the same."""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, cache: None) -> dict[str, Path]:
    """Inputs of every kind by name, made once by the stages themselves."""
    from vise_core.posts.sample import write_sample
    from vise_core.specs.posts.sources import SampleSource

    folder = tmp_path_factory.mktemp("material")
    made = {"raw": folder / "raw", "archive": folder / "pets.zip"}
    write_sample(made["raw"], SampleSource(posts=210, evaluation_images=60, image_size=32), 0)
    source = {"kind": "sample", "posts": 90, "evaluation_images": 60, "image_size": 32}
    for stage, spec, inputs in (
        ("ingest", {"source": source, "posts_per_shard": 30}, {}),
        ("cluster", CLUSTER, {"posts": "posts"}),
        ("label", {}, {"posts": "posts", "clusterer": "clusterer"}),
        ("pretrain", CASES["pretrain"].other, {"posts": "posts", "labels": "labels"}),
        ("evaluate", EVALUATE, {"dataset": "evaluation_set"}),
    ):
        reporter = LocalReporter(folder / stage)
        given = {role: made[name] for role, name in inputs.items()}
        run_stage(stage, validate_spec(stage, spec), given, folder / f"{stage}-work", reporter)
        made |= {name: path for name, path in reporter.artifacts.items() if name != "report"}
    with zipfile.ZipFile(made["archive"], "w") as archive:
        for path in sorted(made["evaluation_set"].rglob("*.jpg"))[::4]:
            archive.write(path, path.relative_to(made["evaluation_set"]))
    return made


@dataclass(frozen=True)
class Outcome:
    """What came of a run: result and content of the artifacts, or the sentence why there are none."""

    result: Any
    files: dict[str, Any]


def run(
    stage: str, spec: Spec, inputs: Inputs, out: Path, *, stop: bool = False, fresh: bool = False
) -> Outcome:
    """Raises OtherRun, Stopped."""
    reporter = LocalReporter(out / "artifacts", stop=stop)
    checked = validate_spec(stage, spec)
    try:
        result = run_stage(stage, checked, inputs, out / "work", reporter, fresh=fresh)
    except (OtherRun, Stopped):
        raise
    except BadInput as error:
        return Outcome(str(error).replace(str(out), ""), {})
    files = {}
    for name, path in reporter.artifacts.items():
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                files[f"{name}/{file.relative_to(path)}"] = content(file)
    assert result.provenance is not None
    facts = timeless(result.model_dump(mode="json")) | {"inputs": result.provenance.inputs}
    return Outcome(facts, files)


def content(file: Path) -> Any:
    return timeless(json.loads(file.read_bytes())) if file.suffix == ".json" else file.read_bytes()


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in UNMEASURED}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def changed_specs(stage: str, spec: Spec) -> Iterator[tuple[str, Spec]]:
    """(field, spec) for every leaf of the spec that can have another value."""
    whole = validate_spec(stage, spec).model_dump(mode="json")
    for path, value in leaves(whole, ()):
        for other in others(value):
            changed = json.loads(json.dumps(whole))
            place = changed
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = other
            try:
                if validate_spec(stage, changed).model_dump(mode="json") != whole:
                    yield ".".join(path), changed
                    break
            except ValidationError:
                continue


def leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, value


def others(value: Any) -> list[Any]:
    """Other values of the same kind; words are of the specs' own choices."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1, value * 2, value / 2]
    if isinstance(value, list):
        return [value[:-1], value[::-1], [*value, 10**3]]
    words = [
        "cpu",
        "off",
        "float16",
        "spherical",
        "unique",
        "posts",
        "true",
        "gradcam",
        "blur",
        "test",
        "local",
    ]
    return [*words, 32, "ab" * 32, "https://example.org/a.zip", None]


def flip_a_byte(path: Path) -> None:
    """In the largest file: another content of the same size."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    largest = max(files, key=lambda p: (p.stat().st_size, str(p)))
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(bytes(data))


def copy(path: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copytree(path, target) if path.is_dir() else shutil.copy2(path, target))


def agrees(second: Callable[[], Outcome], clean: Callable[[], Outcome]) -> bool:
    """Whether the run was rejected; if it was not, it gave what a fresh folder gives."""
    try:
        repeated = second()
    except OtherRun:
        return True
    assert repeated == clean()
    return False


def test_every_stage_has_a_case() -> None:
    assert sorted(CASES) == OURS


@pytest.mark.parametrize("stage", OURS)
def test_twice_in_one_folder(stage: str, material: dict[str, Path], tmp_path: Path) -> None:
    case, out = CASES[stage], tmp_path / "out"
    inputs = {
        role: copy(material[name], tmp_path / "inputs" / role / material[name].name)
        for role, name in case.inputs.items()
    }

    made: dict[str, Outcome] = {}

    def clean(spec: Spec) -> Outcome:
        """The same in a fresh folder; a spec that has been run in one is not run again."""
        key = json.dumps(spec, sort_keys=True)
        if key not in made:
            made[key] = run(stage, spec, inputs, tmp_path / "clean" / str(len(made)))
        return made[key]

    # Stopped as soon as it asks, then something else, then the same.
    try:
        run(stage, case.spec, inputs, out, stop=True)
    except Stopped:
        rejected = agrees(lambda: run(stage, case.other, inputs, out), lambda: clean(case.other))
        if not rejected:
            shutil.rmtree(out)
    first = run(stage, case.spec, inputs, out)
    assert first.files, f"{stage} failed: {first.result}"
    assert first == clean(case.spec)

    # Any field of the spec.
    fields = dict(changed_specs(stage, case.spec))
    assert "seed" in fields
    for name, spec in fields.items():
        rejected = agrees(lambda spec=spec: run(stage, spec, inputs, out), lambda spec=spec: clean(spec))
        assert rejected == (name not in STAGES[stage].speed_only), name

    # Any input: a byte of it, none of it.
    for role, path in inputs.items():
        kept = copy(path, tmp_path / "kept" / role)
        flip_a_byte(path)
        assert agrees(lambda: run(stage, case.spec, inputs, out), lambda: pytest.fail("not rejected"))
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        copy(kept, path)
        if not STAGES[stage].inputs[role].required:
            fewer = {other: place for other, place in inputs.items() if other != role}
            assert agrees(
                lambda fewer=fewer: run(stage, case.spec, fewer, out), lambda: pytest.fail("not rejected")
            )

    # The same again: what was tried in vain has changed nothing. What --fresh makes has nothing of what was there.
    assert run(stage, case.spec, inputs, out) == first
    other = run(stage, case.other, inputs, out, fresh=True)
    assert other.files
    assert other != first
    assert other == clean(case.other)


@pytest.mark.parametrize("stage", [name for name in OURS if CASES.get(name) and CASES[name].inputs])
def test_an_input_that_changes_while_the_stage_runs(stage, material, tmp_path, monkeypatch) -> None:
    """The stage itself is cut out: whatever it would do, its inputs are looked at after it."""
    case = CASES[stage]
    inputs = {
        role: copy(material[name], tmp_path / role / material[name].name)
        for role, name in case.inputs.items()
    }
    for role, path in inputs.items():

        def changes(spec, given, workspace, reporter, path=path) -> None:
            flip_a_byte(path)

        monkeypatch.setattr("vise_core.stage._load", lambda stage, run=changes: run)
        with pytest.raises(InputChanged, match=f"the input '{role}' has changed since the run started"):
            run_stage(
                stage,
                validate_spec(stage, case.spec),
                inputs,
                tmp_path / f"work-{role}",
                LocalReporter(tmp_path / "artifacts"),
            )
    assert not (tmp_path / "artifacts").exists()
