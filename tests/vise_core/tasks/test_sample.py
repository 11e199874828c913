"""The synthetic stand-ins are read by the readers of the real tasks, and say what they are."""

from pathlib import Path

import numpy as np
import pytest

from vise_core.reporter import LocalReporter
from vise_core.specs.stages import validate_spec
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.stage import run_stage
from vise_core.tasks import load_task, task_splits, unreadable_images
from vise_core.tasks.verify import verify_task


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tasks")
    reporter = LocalReporter(folder / "out")
    result = run_stage(
        "sample_tasks", validate_spec("sample_tasks", {"images": 140}), {}, folder / "w", reporter
    )
    assert result.synthetic
    return {kind: Path(path) for kind, path in reporter.artifacts.items()}


@pytest.mark.parametrize("kind", TASKS)
def test_every_task_is_read_split_and_marked_synthetic(sets: dict[str, Path], kind: str) -> None:
    task = validate_spec("evaluate", {"task": {"kind": kind}}).task
    images = load_task(task, sets[kind])
    assert len(images) == 140
    assert images.synthetic
    assert images.name == TASKS[kind].title
    assert unreadable_images(images) == []
    for split in task_splits(images, validate_spec("evaluate", {}).splits):
        assert set(np.unique(images.labels[split.train])) == set(range(len(images.classes)))
        assert len(split.val) > 5
    report = verify_task(task, sets[kind], decode=True)
    assert report.usable
    assert report.verdict == "incomplete", "it is not the real thing"


def test_memes_are_told_by_words_and_picture_together(sets: dict[str, Path]) -> None:
    images = load_task(
        validate_spec("evaluate", {"task": {"kind": "hateful_memes"}}).task, sets["hateful_memes"]
    )
    assert images.texts is not None
    assert all(images.texts)
    assert 0.3 < images.labels.mean() < 0.7
