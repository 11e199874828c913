"""Tiny inputs of every kind of stage."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pandas
import pytest

from vise_core.reporter import LocalReporter
from vise_core.specs.stages import validate_spec
from vise_core.stage import run_stage

from .cases import CLUSTER, COUNTS, EVALUATE, SAMPLE


def write_material(folder: Path, layouts: Any) -> dict[str, Path]:
    """Inputs by name."""
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
    evaluate = {key: value for key, value in EVALUATE.items() if key not in ("early_stopping", "compute")}
    for stage, spec, inputs in (
        ("ingest", {"source": SAMPLE}, {}),
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
        "copies": _copies(folder / "copies", layouts.picture),
        "imagenet": layouts.imagenet(folder / "imagenet"),
        "csv_task": folder / "csv_task",
        "two_classes": folder / "two_classes",
    }
    lines = []
    for number in range(24):
        layouts.picture(made["csv_task"] / "img" / f"{number}.png", seed=number)
        part = ("train", "train", "val", "test")[number // 2 % 4]
        lines.append(
            f"{number}.png;{'ab'[number % 2]};{part};what a {'good' if number % 2 else 'bad'} day {number}"
        )
        layouts.picture(made["two_classes"] / "ab"[number % 2] / f"{number}.png", seed=number)
    (made["csv_task"] / "mine.csv").write_text("\n".join(lines) + "\n")
    return made


def _copies(folder: Path, picture: Any) -> Path:
    """Train images that are test images too, and classes of other shares in train than in test."""
    for name, train, test in (("a", 12, 11), ("b", 12, 1)):
        for number in range(train + test):
            part = "train" if number < train else "test"
            picture(folder / part / name / f"{number}.jpg", shade=ord(name), seed=number)
        shutil.copy(folder / "train" / name / "0.jpg", folder / "test" / name / "copy.jpg")
    return folder
