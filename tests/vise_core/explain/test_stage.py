import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vise_core.errors import BadInput, Stopped
from vise_core.explain.choosing import choose_images
from vise_core.explain.pointing import points_inside, read_mask
from vise_core.explain.stage import run
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.reporter import LocalReporter
from vise_core.specs.explain import ExplainSpec
from vise_core.specs.tasks.kinds import FolderTask
from vise_core.tasks import load_task

SPEC = ExplainSpec(limit=4, target="true")


@pytest.fixture
def inputs(classifier: ImageClassifier, tmp_path: Path) -> dict[str, Path]:
    """A predictor and nine pictures whose right half carries the class."""
    root = tmp_path / "set"
    rng = np.random.default_rng(0)
    for name in classifier.classes:
        (root / name).mkdir(parents=True)
        (root / "masks" / name).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 255, (64, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
            mask = np.zeros((64, 80), np.uint8)
            mask[:, 40:] = 255
            Image.fromarray(mask).save(root / "masks" / name / f"{number}.png")
    (root / "dataset.json").write_text('{"synthetic": true}')
    held_out = [f"{name}/{number}.png" for name in classifier.classes for number in (0, 1)]
    save_classifier(
        tmp_path / "predictor", classifier, {"method": "VisE", "task": "toy", "held_out": held_out}
    )
    return {"predictor": tmp_path / "predictor", "dataset": root}


def test_overlays_and_explanations_are_published(inputs, tmp_path: Path):
    reporter = LocalReporter(tmp_path / "out")
    result = run(SPEC, inputs, tmp_path / "work", reporter)
    rows = json.loads(reporter.artifacts["explanations"].read_text())["images"]
    assert (result.images, len(rows), result.synthetic) == (4, 4, True)
    assert [row["label"] for row in rows] == ["blue", "green", "red", "blue"]
    assert all(row["path"].endswith(("0.png", "1.png")) for row in rows), "only held-out images"
    assert all(row["target"] == row["label"] for row in rows)
    pictures = sorted(reporter.artifacts["overlays"].glob("*.png"))
    assert [p.name for p in pictures] == [row["file"] for row in rows]
    assert Image.open(pictures[0]).size == (80, 64)
    assert result.accuracy == 100 * np.mean([row["right"] for row in rows])
    assert result.pointing == 100 * np.mean([row["points_inside"] for row in rows])
    assert result.pointing_chance == pytest.approx(50)


def test_without_masks_there_is_no_pointing_game(inputs, tmp_path: Path):
    shutil.rmtree(inputs["dataset"] / "masks")
    result = run(SPEC, inputs, tmp_path / "work", LocalReporter(tmp_path / "out"))
    assert result.pointing is None
    assert result.pointing_chance is None
    assert result.headline() == {}


def test_a_data_set_with_other_classes_is_refused(inputs, tmp_path: Path):
    (inputs["dataset"] / "red").rename(inputs["dataset"] / "violet")
    with pytest.raises(BadInput, match="has no class violet"):
        run(SPEC, inputs, tmp_path / "work", LocalReporter(tmp_path / "out"))


def test_it_stops_on_request(inputs, tmp_path: Path):
    with pytest.raises(Stopped):
        run(SPEC, inputs, tmp_path / "work", LocalReporter(tmp_path / "out", stop=True))


def test_images_are_chosen_evenly_over_classes_by_seed(inputs):
    images = load_task(FolderTask(), inputs["dataset"])
    chosen = choose_images(images, list(range(9)), 6, seed=0)
    assert np.bincount(images.labels[chosen]).tolist() == [2, 2, 2]
    assert chosen == choose_images(images, list(range(9)), 6, seed=0)
    assert any(chosen != choose_images(images, list(range(9)), 6, seed=seed) for seed in range(1, 5))


def test_a_peak_counts_where_the_mask_is_white():
    heat = np.zeros((4, 4), np.float32)
    mask = np.zeros((4, 4), bool)
    mask[2, 3] = True
    assert not points_inside(heat, np.ones((4, 4), bool)), "a map without a peak points nowhere"
    heat[2, 3] = 1
    assert points_inside(heat, mask)
    assert not points_inside(heat.T.copy(), mask)


def test_a_mask_is_cut_as_the_image_is(tmp_path: Path):
    mask = np.zeros((10, 20), np.uint8)
    mask[:, :10] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    seen = read_mask(tmp_path / "mask.png", (20, 10), resize=20, crop=16)
    assert seen.shape == (16, 16)
    assert seen[:, :8].all()
    assert not seen[:, 8:].any()
    with pytest.raises(BadInput, match="must have one size"):
        read_mask(tmp_path / "mask.png", (10, 20), resize=20, crop=16)
