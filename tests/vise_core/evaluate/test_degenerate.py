"""Data sets at the edge of what can be judged: a correct number, by hand, or a clear error before any training."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vise_client.cli import main
from vise_core.errors import BadInput
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.stages import validate_spec
from vise_core.stage import run_stage

SPEC = {
    "weights": {"kind": "random", "backbone": "resnet18"},
    "augment": False,
    "splits": {"count": 2, "train": 0.6, "val": 0.2},
    "base_lrs": [0.0],
    "weight_decays": [0.0],
    "epochs": 1,
    "milestones": [],
    "batch": 16,
    "image_size": 32,
}


def dataset(root: Path, counts: dict[str, int], *, alike: bool = False) -> Path:
    """So many images of noise a class; a class's brightness tells it from others, or nothing does (``alike``)."""
    rng = np.random.default_rng(0)
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(rng.normal(120 if alike else 60 + 120 * number, 20, (32, 32, 3)), 0, 255).astype(
                np.uint8
            )
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def evaluate(root: Path, tmp_path: Path, reporter, **changes: object) -> EvaluateResult:
    spec = validate_spec("evaluate", SPEC | changes)
    result = run_stage("evaluate", spec, {"dataset": root}, tmp_path / "work", reporter)
    assert isinstance(result, EvaluateResult)
    json.dumps(result.model_dump(mode="json"), allow_nan=False)
    assert EvaluateResult.model_validate_json(result.model_dump_json()) == result
    return result


def test_one_class_cannot_be_told_from_others(tmp_path: Path, reporter) -> None:
    root = dataset(tmp_path / "one", {"cat": 12})
    with pytest.raises(BadInput, match=r"12 images of 1 class.*at least two classes are needed"):
        evaluate(root, tmp_path, reporter)
    assert reporter.curves == {}


def counted(result: EvaluateResult, reporter) -> list[tuple[float, int]]:
    """By split, from the predictions: (percent right, images of class cat)."""
    rows = pq.read_table(reporter.artifacts["predictions"]).to_pylist()
    found = []
    for number, split in enumerate(result.splits):
        mine = [row for row in rows if row["split"] == number]
        assert len(mine) == split.sizes[2]
        right = sum(row["predicted"] == row["label"] for row in mine)
        found.append((100 * right / len(mine), sum(row["label"] == "cat" for row in mine)))
    return found


def test_a_class_of_one_image_is_warned_of_and_the_number_is_right(tmp_path: Path, reporter) -> None:
    root = dataset(tmp_path / "rare", {"cat": 19, "dog": 1})
    result = evaluate(root, tmp_path, reporter, splits=SPEC["splits"] | {"stratify": False})
    assert [split.sizes for split in result.splits] == [(12, 4, 4)] * 2
    counts = counted(result, reporter)
    assert [split.chosen.test for split in result.splits] == [right for right, _ in counts]
    assert result.test_mean == np.mean([right for right, _ in counts])
    (balance,) = [each for each in result.integrity.checks if each.name == "label_balance"]
    # The one dog is in train, val or test of a split: it is missing from the others.
    assert balance.verdict != "ok"
    assert any(each.first == "dog" for each in balance.examples)
    # Of test's 4 images, all are cats but for the dog where it is there.
    majority = 100 * np.mean([max(cats, 4 - cats) / 4 for _, cats in counts])
    assert f"majority-class accuracy {majority:.1f} %" in balance.sentence


@pytest.mark.slow
def test_99_to_1_learnt_by_nobody_is_the_majority(tmp_path: Path, reporter) -> None:
    """Grey noise for both: nothing tells a dog, and saying cat is right as often as there are cats."""
    root = dataset(tmp_path / "skewed", {"cat": 198, "dog": 2}, alike=True)
    result = evaluate(root, tmp_path, reporter, base_lrs=[0.5], weight_decays=[0.1], epochs=10)
    counts = counted(result, reporter)
    n = result.splits[0].sizes[2]
    assert [split.chosen.test for split in result.splits] == pytest.approx([right for right, _ in counts])
    assert [right for right, _ in counts] == pytest.approx([100 * cats / n for _, cats in counts])
    assert all(0.97 * n <= cats <= n for _, cats in counts)
    (balance,) = [each for each in result.integrity.checks if each.name == "label_balance"]
    assert f"majority-class accuracy {result.test_mean:.1f} %" in balance.sentence


def test_99_to_1_has_no_roc_auc_where_a_split_lacks_a_class(tmp_path: Path, reporter) -> None:
    root = dataset(tmp_path / "skewed", {"cat": 99, "dog": 1})
    task = {"kind": "folder", "metric": "roc_auc"}
    with pytest.raises(BadInput, match=r"split 0: (val|test) has no image of dog, so ROC AUC is not defined"):
        evaluate(root, tmp_path, reporter, task=task)
    assert reporter.curves == {}


@pytest.mark.slow
def test_one_rate_of_several_that_diverges_does_not_count(tmp_path: Path, reporter) -> None:
    root = dataset(tmp_path / "two", {"cat": 20, "dog": 20})
    alone = evaluate(root, tmp_path / "alone", reporter, base_lrs=[0.025], weight_decays=[0.01], epochs=10)
    both = evaluate(
        root, tmp_path / "both", reporter, base_lrs=[1e36, 0.025], weight_decays=[0.01], epochs=10
    )
    assert both.test_mean == pytest.approx(alone.test_mean)
    assert [split.chosen.base_lr for split in both.splits] == [0.025, 0.025]
    assert both.diverged == 2


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """``vise run evaluate --local``: what it says where it fails."""

    def call(root: Path, **changes: object) -> str:
        spec = tmp_path / "spec.json"
        spec.write_text(json.dumps(SPEC | changes))
        options = [
            "--spec",
            str(spec),
            "--local",
            "--input",
            f"dataset={root}",
            "--out",
            str(tmp_path / f"out-{root.name}"),
        ]
        monkeypatch.setattr(sys, "argv", ["vise", "run", "evaluate", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        # Python prints a text that it is to exit with, and exits with 1.
        return " ".join(f"{printed.out} {printed.err} {ended.value.code}".split())

    return call


def test_a_published_split_without_val_says_where_val_is_from(tmp_path: Path, reporter) -> None:
    root = dataset(tmp_path / "set" / "train", {"cat": 10, "dog": 10}).parent
    dataset(root / "test", {"cat": 3, "dog": 3})
    (root / "val").mkdir()
    result = evaluate(root, tmp_path, reporter)
    # val is a fifth of 20.
    assert [split.sizes for split in result.splits] == [(16, 4, 6)] * 2
    assert any(
        "no val images: in each of 2 split(s) 4 of the train images" in message
        for message in reporter.messages
    )


def test_a_class_folder_that_is_a_link_is_told_of(tmp_path: Path, reporter) -> None:
    root = dataset(tmp_path / "set", {"cat": 10, "dog": 10})
    (root / "owl").symlink_to(dataset(tmp_path / "elsewhere", {"owl": 5}) / "owl")
    assert evaluate(root, tmp_path, reporter).classes == ("cat", "dog")
    assert any("1 folders are links" in message and "such as owl" in message for message in reporter.messages)


def test_a_cache_that_cannot_be_written_to_changes_no_number(
    tmp_path: Path, reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, file = dataset(tmp_path / "two", {"cat": 10, "dog": 10}), tmp_path / "a file"
    file.write_bytes(b"")
    kept = evaluate(root, tmp_path / "kept", reporter)
    monkeypatch.setenv("VISE_CACHE", str(file / "cache"))
    assert evaluate(root, tmp_path / "not kept", reporter).test_mean == kept.test_mean


def test_the_command_says_the_same(command, tmp_path: Path) -> None:
    said = command(dataset(tmp_path / "one", {"cat": 6}))
    assert "at least two classes are needed" in said
    assert "Traceback" not in said
    two = dataset(tmp_path / "two", {"cat": 15, "dog": 15})
    said = command(two, base_lrs=[1e36, 1e35], weight_decays=[0.01], epochs=10)
    assert "2 of 2 trainings diverged" in said
    assert "Lower base_lrs" in said
    assert "Traceback" not in said
