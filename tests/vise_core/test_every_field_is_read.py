"""Every field of every spec is read by its stage: no form offers a field that changes nothing.

Each stage runs on tiny data with specs that set all of its fields, one or several at a time, to other values than their
defaults. Access to the fields is recorded while the stage runs. A record that several specs share, such as a task or a
source of posts, is read once wherever any stage reads it.
"""

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from vise_core.errors import BadInput
from vise_core.reporter import LocalReporter
from vise_core.specs.base import Record
from vise_core.specs.posts.fields import Fields
from vise_core.specs.posts.sources import PostSource
from vise_core.specs.stages import STAGES, validate_spec
from vise_core.specs.tasks.kinds import Task
from vise_core.stage import PreparedStage, run_stage

Read = tuple[type[Record], str]
"""(class of the record, name of the field)."""

SPLITS = {"count": 2, "train": 0.6, "val": 0.2, "seed": 1, "stratify": False}
NETWORK = {"device": "cpu", "amp": "bf16", "channels_last": False, "loader_workers": 1}
CLUSTER = {
    "subset": {"cluster_fraction": 0.4, "seed": 1},
    "comments": {
        "max_comments": 3,
        "extractor": {
            "max_features": 50,
            "min_df": 1,
            "lowercase": False,
            "sublinear_tf": True,
            "tokenizer": "words-1",
        },
        "kmeans": {"algorithm": "minibatch", "k": 6, "max_iter": 3, "tol": 0.01},
    },
    "reactions": {"kmeans": {"k": 3}},
}
EVALUATE = {
    "method": "Mine",
    "weights": {"kind": "random", "backbone": "resnet18"},
    "augment": False,
    "feature_dtype": "float16",
    "splits": SPLITS,
    "base_lrs": [0.1, 0.01, 0.001],
    "weight_decays": [0.001],
    "momentum": 0.5,
    "epochs": 2,
    "milestones": [1],
    "gamma": 0.5,
    "early_stopping": {"epochs": [1], "fewest": 2},
    "batch": 8,
    "bias_prior": 0.1,
    "image_size": 32,
    "compute": NETWORK,
}
FIELDS = {
    "map": "graph_api",
    "id": "key",
    "image": "file",
    "comments": "said",
    "text": "words",
    "replies": "answers",
    "reactions": "counts",
    "names": {"smile": "haha"},
}
COUNTS = {name: name for name in ("haha", "sorry", "angry", "wow", "love")}


@dataclass(frozen=True)
class Case:
    """A run of a stage.

    Attributes
    ----------
    inputs: role → name of what ``material`` made.
    fails: a run whose data does not fit the spec: it is rejected after the fields were read.
    """

    stage: str
    spec: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    fails: bool = False


def ingest(kind: str, **source: Any) -> Case:
    return Case("ingest", {"source": {"kind": kind, **source}}, {"source": kind})


def integrity(inputs: dict[str, str], **spec: Any) -> Case:
    return Case(
        "integrity", {"perceptual": False, "splits": SPLITS, "compute": {"processes": 2}} | spec, inputs
    )


CASES = [
    Case(
        "fetch",
        {
            "kind": "posts",
            "url": "https://example.org/a.zip",
            "sha256": "ab" * 32,
            "download_bytes": 10**6,
            "limits": {"bytes": 10**7, "files": 900, "ratio": 90},
            "samples": 2,
        },
    ),
    Case("survey", {"samples": 2, "decode": False}, {"dataset": "folder"}),
    Case("survey", {"kind": "posts", "source": {"kind": "jsonl"}}, {"dataset": "jsonl"}),
    Case("sample_tasks", {"kinds": ["cub"], "images": 56, "image_size": 32}),
    Case(
        "ingest",
        {
            "source": {"kind": "sample", "posts": 60, "evaluation_images": 60, "image_size": 32},
            "posts_per_shard": 40,
            "max_image_pixels": 10**6,
            "max_image_side": 64,
            "max_comments": 3,
            "max_comment_characters": 50,
        },
    ),
    ingest("jsonl", posts="mine.jsonl", images="pictures", encoding="utf-8", fields=FIELDS),
    ingest(
        "json", posts="mine.json", images="pictures", encoding="utf-8", list="all", fields=FIELDS | COUNTS
    ),
    ingest(
        "csv",
        posts="mine.csv",
        images="pictures",
        encoding="utf-8",
        delimiter=";",
        fields=FIELDS | COUNTS | {"map": "plain"},
    ),
    ingest("parquet", posts="mine.parquet", images="pictures", fields=FIELDS),
    ingest("webdataset", image="jpg", fields={"map": "reddit"}),
    ingest("pictures", fields={"map": "reddit"}),
    Case("cluster", CLUSTER | {"seed": 1, "helpers": 1, "compute": {"device": "cpu"}}, {"posts": "posts"}),
    Case(
        "cluster",
        {
            "subset": {"cluster_fraction": 0.4},
            "comments": {
                "extractor": {
                    "kind": "sentence",
                    "max_tokens": 16,
                    "emoji_names": False,
                    "tokenizer": "words-1",
                },
                "kmeans": {"k": 3},
            },
            "reactions": None,
        },
        {"posts": "posts"},
    ),
    Case(
        "cluster",
        {
            "subset": {"cluster_fraction": 0.4},
            "comments": None,
            "reactions": {"kmeans": {"algorithm": "spherical", "k": 3, "max_iter": 4, "tol": 0.1}},
        },
        {"posts": "posts"},
    ),
    Case(
        "label",
        {"shuffle_engagement": True, "compute": {"device": "cpu", "processes": 2}},
        {"posts": "posts", "clusterer": "clusterer"},
    ),
    Case(
        "explore",
        {"terms": 3, "comments": 2, "images": 1, "thumbnail": 32, "pairs": 5},
        {"posts": "posts", "clusterer": "clusterer", "labels": "labels"},
    ),
    Case(
        "pretrain",
        {
            "backbone": "resnet18",
            "signals": ["comments"],
            "comment_targets": "unique",
            "posts_limit": 16,
            "epochs": 1,
            "batch": 8,
            "accumulate": 2,
            "base_lr": 0.01,
            "momentum": 0.5,
            "weight_decay": 0.01,
            "warmup": 0.5,
            "decay": {"kind": "steps", "milestones": [0.5], "gamma": 0.5},
            "bias_prior": 0.1,
            "image_size": 32,
            "min_crop": 0.5,
            "checkpoint_seconds": 1,
            "log_every": 1,
            "compute": NETWORK | {"processes": 2},
        },
        {"posts": "posts", "labels": "labels"},
    ),
    Case(
        "pretrain",
        {
            "backbone": "resnet18",
            "objective": "moco-v2",
            "epochs": 1,
            "batch": 8,
            "warmup": 0,
            "image_size": 32,
            "moco": {"queue": 16, "momentum": 0.5, "temperature": 0.5, "dim": 8, "min_crop": 0.5},
            "decay": {"kind": "cosine", "every": "iteration"},
            "compute": {"compile": True},
        },
        {"posts": "posts"},
    ),
    Case(
        "pretrain",
        {
            "backbone": "resnet18",
            "epochs": 1,
            "batch": 16,
            "warmup": 0,
            "image_size": 32,
            "decay": {"kind": "even", "times": 2, "gamma": 0.2},
        },
        {"posts": "posts", "labels": "labels"},
    ),
    Case(
        "import",
        {
            "format": "torchvision",
            "file": "b.pth",
            "row": "Mine",
            "network": "teacher",
            "sha256": "ab" * 32,
        },
        {"file": "weights"},
        fails=True,
    ),
    Case(
        "evaluate",
        EVALUATE | {"task": {"kind": "folder", "name": "Mine", "metric": "roc_auc"}},
        {"dataset": "folder"},
    ),
    Case(
        "evaluate",
        EVALUATE | {"protocol": "fine-tuned", "augment": True, "feature_dtype": "float32"},
        {"dataset": "folder"},
    ),
    Case(
        "evaluate",
        EVALUATE
        | {
            "setup": "text",
            "optimizer": "adamw",
            "base_lrs": [0.1],
            "early_stopping": None,
            "task": {
                "kind": "csv",
                "name": "Mine",
                "manifest": "mine.csv",
                "delimiter": ";",
                "encoding": "cp1252",
                "header": False,
                "images": "img",
                "path_column": "1",
                "label_column": "2",
                "split_column": "3",
                "text_column": "4",
                "metric": "roc_auc",
            },
        },
        {"dataset": "csv_task"},
    ),
    Case(
        "evaluate",
        EVALUATE
        | {
            "weights": {"kind": "catalogue", "backbone": "resnet101", "name": "moco-v2"},
        },
        {"dataset": "folder"},
        fails=True,
    ),
    integrity(
        {"dataset": "folder", "posts": "posts", "labels": "labels", "clusterer": "clusterer"},
        subset={"cluster_fraction": 0.3, "seed": 2},
        examples=2,
        limits={"overlap": 0.2, "imbalance": 3, "shift": 0.2, "largest_cluster": 0.3},
    ),
    integrity({"dataset": "unbiased_emotion"}, task={"kind": "unbiased_emotion", "name": "Mine"}),
    integrity({"dataset": "politics"}, task={"kind": "politics", "name": "Mine", "manifest": "manifest.csv"}),
    integrity(
        {"dataset": "hateful_memes"},
        task={
            "kind": "hateful_memes",
            "name": "Mine",
            "train": "dev",
            "val": "test_seen",
            "test": "dev_seen",
        },
    ),
    integrity({"dataset": "cub"}, task={"kind": "cub", "name": "Mine"}),
    integrity({"dataset": "imagenet"}, task={"kind": "imagenet", "name": "Mine"}),
    Case(
        "explain",
        {
            "method": "gradcam",
            "target": "true",
            "limit": 2,
            "strength": 0.3,
            "faithfulness": False,
            "task": {"kind": "folder", "name": "Mine"},
            "compute": {"device": "cpu"},
        },
        {"predictor": "predictor", "dataset": "folder"},
    ),
    Case(
        "explain",
        {"limit": 2, "faithfulness_steps": 2, "deletion_baseline": "blur"},
        {"predictor": "predictor", "dataset": "folder"},
    ),
    Case(
        "qualitative",
        {
            "method": "gradcam",
            "target": "true",
            "limit": 2,
            "strength": 0.3,
            "unseen_only": False,
            "compute": {"device": "cpu"},
        },
        {"dataset": "folder", "predictor": "predictor", "predictor_2": "predictor"},
    ),
]

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


SHARED = {
    read for shared in (PostSource, Task) for record in records(shared) for read in fields_of(record)
} | fields_of(Fields)
"""Read by the code that stages share."""


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
    runner_of = PreparedStage._runner

    def record_read(self: Record, name: str) -> Any:
        if running[0] and name in type(self).__pydantic_fields__:
            seen.add((type(self), name))
        return object.__getattribute__(self, name)

    def runner(self: PreparedStage) -> Any:
        run = runner_of(self)

        def recorded(*arguments: Any) -> Any:
            running[0] = True
            try:
                return run(*arguments)
            finally:
                running[0] = False

        return recorded

    monkeypatch.setattr(PreparedStage, "_runner", runner)
    monkeypatch.setattr(Record, "__getattribute__", record_read, raising=False)
    return seen


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, layouts: Any) -> dict[str, Path]:
    """Inputs by name."""
    folder = tmp_path_factory.mktemp("material")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISE_CACHE", str(folder / "cache"))
        made = _made_by_stages(folder)
    made |= _posts(folder / "raw", layouts.picture)
    made |= _tasks(folder / "tasks", layouts)
    made["weights"] = folder / "weights"
    made["weights"].mkdir()
    for name in ("a.pth", "b.pth"):
        (made["weights"] / name).write_bytes(b"no weights")
    return made


def _made_by_stages(folder: Path) -> dict[str, Path]:
    made: dict[str, Path] = {}
    source = {"kind": "sample", "posts": 60, "evaluation_images": 60, "image_size": 32}
    evaluate = {key: value for key, value in EVALUATE.items() if key not in ("early_stopping", "compute")}
    for stage, spec, inputs in (
        ("ingest", {"source": source}, {}),
        ("cluster", CLUSTER, {"posts": "posts"}),
        ("label", {}, {"posts": "posts", "clusterer": "clusterer"}),
        ("evaluate", evaluate | {"base_lrs": [0.1]}, {"dataset": "evaluation_set"}),
    ):
        reporter = LocalReporter(folder / stage)
        given = {role: made[name] for role, name in inputs.items()}
        run_stage(stage, validate_spec(stage, spec), given, folder / f"{stage}-work", reporter)
        made |= {name: path for name, path in reporter.artifacts.items() if name != "report"}
    return made | {"folder": made["evaluation_set"]}


def _posts(folder: Path, picture: Any) -> dict[str, Path]:
    """Ten posts in each layout."""
    import io
    import tarfile

    import pandas

    rows = []
    for kind in ("jsonl", "json", "csv", "parquet", "webdataset", "pictures"):
        (folder / kind).mkdir(parents=True)
    for number in range(10):
        name = f"{number}.jpg"
        for kind in ("jsonl", "json", "csv", "parquet"):
            picture(folder / kind / "pictures" / name, seed=number)
        image = picture(folder / "pictures" / name, seed=number)
        said = [{"words": "wow so nice", "answers": [{"words": "it is"}]}]
        counts = dict.fromkeys(COUNTS, number)
        rows.append({"key": f"p{number}", "file": name, "said": said, "counts": counts, **counts})
        plain = json.dumps({"id": f"p{number}", "comments": ["wow"], "ups": 1})
        (folder / "pictures" / f"{number}.json").write_text(plain)
        with tarfile.open(folder / "webdataset" / "a.tar", "a" if number else "w") as tar:
            for suffix, data in (("json", plain.encode()), ("jpg", image.read_bytes())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "jsonl/mine.jsonl").write_text(lines)
    (folder / "jsonl/posts.jsonl").write_text(lines)
    (folder / "json/mine.json").write_text(json.dumps({"all": rows}))
    table = pandas.DataFrame([row | {"said": "wow; nice", "counts": ""} for row in rows])
    table.to_csv(folder / "csv/mine.csv", sep=";", index=False)
    pandas.DataFrame(rows).to_parquet(folder / "parquet/mine.parquet")
    return {path.name: path for path in folder.iterdir()}


def _tasks(folder: Path, layouts: Any) -> dict[str, Path]:
    """Each task's published layout, and a table of one's own."""
    made = {
        "unbiased_emotion": layouts.emotions(folder / "unbiased_emotion", each=4),
        "politics": layouts.politics(folder / "politics"),
        "hateful_memes": layouts.memes(
            folder / "hateful_memes", {"dev": [0, 1] * 4, "test_seen": [0, 1, 0, 1], "dev_seen": [0, 1, 0, 1]}
        ),
        "cub": layouts.cub(folder / "cub"),
        "imagenet": layouts.imagenet(folder / "imagenet"),
        "csv_task": folder / "csv_task",
    }
    lines = []
    for number in range(24):
        layouts.picture(made["csv_task"] / "img" / f"{number}.png", seed=number)
        part = ("train", "train", "val", "test")[number // 2 % 4]
        lines.append(
            f"{number}.png;{'ab'[number % 2]};{part};what a {'good' if number % 2 else 'bad'} day {number}"
        )
    (made["csv_task"] / "mine.csv").write_text("\n".join(lines) + "\n")
    return made


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

    monkeypatch.setattr("vise_core.data.fetch.fetch", fetch)
    monkeypatch.setattr("vise_core.models.weights.load", load)
    monkeypatch.setattr("torch.compile", lambda module: module)
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "cache"))


def test_every_stage_has_a_case() -> None:
    assert sorted({case.stage for case in CASES}) == OURS


@pytest.mark.parametrize("stage", OURS)
def test_every_field_of_the_spec_is_read(
    stage: str, material: dict[str, Path], tmp_path: Path, reads: set[Read], offline: None
) -> None:
    done: set[Read] = set()
    for number, case in enumerate(case for case in CASES if case.stage == stage):
        reads.clear()
        done |= run(case, material, tmp_path / str(number), reads)
    left = fields_of(STAGES[stage].spec) - done - SHARED - {(STAGES[stage].spec, "seed")}
    assert sorted(f"{record.__name__}.{name}" for record, name in left) == []


def test_every_field_of_sources_and_tasks_is_read(
    material: dict[str, Path], tmp_path: Path, reads: set[Read], offline: None
) -> None:
    done: set[Read] = set()
    for number, case in enumerate(CASES):
        if case.spec.get("source") or case.spec.get("task"):
            reads.clear()
            done |= run(case, material, tmp_path / str(number), reads)
    left = SHARED - done
    assert sorted(f"{record.__name__}.{name}" for record, name in left) == []
