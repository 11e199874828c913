"""``vise tasks`` as it is called from a shell."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import run_vise
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.report import TaskReport


@pytest.fixture
def memes(tmp_path: Path) -> Path:
    """Six memes of phase 1, and two of phase 2's dev_seen."""
    rows = {"train": [0, 1, 1, 0], "dev": [0, 1], "dev_seen": [1, 0]}
    number = 0
    for name, labels in rows.items():
        lines = []
        for label in labels:
            number += 1
            path = f"img/{number:05}.png"
            (tmp_path / "img").mkdir(exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / path)
            lines.append(json.dumps({"id": number, "img": path, "label": label, "text": "a"}))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_list_shows_every_task_with_table_8():
    shown = run_vise("tasks", "list")
    assert shown.returncode == 0, shown.stderr
    for kind, task in TASKS.items():
        assert kind in shown.stdout
        assert task.title in shown.stdout
    assert "607,306 / 67,478 / 75,148" in shown.stdout
    assert "8,500 / 500 / –" in shown.stdout


@pytest.mark.parametrize("name", ["hateful_memes", "Hateful Memes", "hateful-memes"])
def test_a_usable_set_ends_with_0(memes: Path, name: str):
    shown = run_vise("tasks", "verify", name, memes)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("Hateful Memes (hateful_memes): incomplete\n")
    assert "train 4 of 8,500: 2 classes of 2 to 2 images" in shown.stdout


def test_an_unusable_set_ends_with_1_and_names_the_files(memes: Path):
    for number in (1, 2, 3):
        (memes / f"img/{number:05}.png").unlink()
    shown = run_vise("tasks", "verify", "hateful_memes", memes, "--first", "2")
    assert shown.returncode == 1
    assert "  missing: 3\n    img/00001.png (train.jsonl line 1)\n" in shown.stdout
    assert "    … and 1 more\n" in shown.stdout


def test_json_is_the_report(memes: Path):
    (memes / "img/00001.png").write_bytes(b"x")
    shown = run_vise("tasks", "verify", "hateful_memes", memes, "--json")
    report = TaskReport.model_validate_json(shown.stdout)
    assert (shown.returncode, report.verdict, report.unreadable.number) == (1, "unusable", 1)
    quick = run_vise("tasks", "verify", "hateful_memes", memes, "--json", "--quick")
    assert (quick.returncode, json.loads(quick.stdout)["decoded"]) == (0, False)


def test_fields_of_the_task_can_be_set(memes: Path):
    shown = run_vise("tasks", "verify", "hateful_memes", memes, "--set", "val=dev_seen", "--json")
    assert TaskReport.model_validate_json(shown.stdout).splits[1].expected is None
    wrong = run_vise("tasks", "verify", "hateful_memes", memes, "--set", "val=devil")
    assert wrong.returncode == 1
    assert "hateful_memes.val" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_an_unknown_task_is_one_sentence(tmp_path: Path):
    shown = run_vise("tasks", "verify", "mnist", tmp_path)
    assert shown.returncode == 1
    assert shown.stderr.startswith("vise: no task 'mnist'; one of unbiased_emotion, politics")
    assert shown.stdout == ""
