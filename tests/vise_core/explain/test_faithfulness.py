"""Insertion and deletion against a computation by hand, and both games on the sample's own masks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vise_core.explain.faithfulness import (
    area,
    blurred,
    centre_heat,
    insertion_deletion,
    order,
    random_heat,
)
from vise_core.explain.pointing import mask_path, points_inside, read_mask
from vise_core.explain.stage import run
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.posts.sample import generate_evaluation_image
from vise_core.reporter import LocalReporter
from vise_core.specs.explain import ExplainSpec
from vise_core.specs.tasks.catalogue import EMOTIONS
from vise_core.specs.tasks.kinds import FolderTask
from vise_core.tasks import load_task


def test_both_areas_by_hand() -> None:
    """Four pixels, the score is the sum of their red over ten, the heat goes from the brightest to the darkest."""
    image = torch.zeros(3, 2, 2)
    image[0] = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    heat = np.array([[1.0, 0.8], [0.5, 0.1]], np.float32)
    soft = blurred(image)[0].flatten().double().numpy()
    (found,) = insertion_deletion(lambda x: x[:, 0].sum((1, 2)) / 10, image, [heat], steps=4)
    assert found.deletion == pytest.approx(np.trapezoid([1.0, 0.6, 0.3, 0.1, 0.0]) / 4)
    bright = np.array([4.0, 3.0, 2.0, 1.0])
    inserted = [(bright[:n].sum() + soft[n:].sum()) / 10 for n in range(5)]
    assert found.insertion == pytest.approx(np.trapezoid(inserted) / 4, rel=1e-5)


def test_deletion_may_end_at_the_blurred_image() -> None:
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    heat = np.random.default_rng(0).random((8, 8), dtype=np.float32)

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean((1, 2, 3))

    (mean,) = insertion_deletion(score, image, [heat], steps=1)
    (blur,) = insertion_deletion(score, image, [heat], steps=1, baseline="blur")
    whole, soft = float(score(image[None])), float(score(blurred(image)[None]))
    assert mean.deletion == pytest.approx((whole + 0) / 2, rel=1e-5)
    assert blur.deletion == pytest.approx((whole + soft) / 2, rel=1e-5)
    assert mean.insertion == blur.insertion == pytest.approx((whole + soft) / 2, rel=1e-5)


def test_a_map_of_the_right_place_beats_chance_and_its_opposite() -> None:
    """The score looks at one corner only."""
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))
    corner = np.zeros((32, 32), np.float32)
    corner[:8, :8] = 1

    def score(pixels: torch.Tensor) -> torch.Tensor:
        """1 for the whole corner, 0 where nothing of it is left."""
        difference = (pixels[:, :, :8, :8] - image[:, :8, :8]).abs().mean((1, 2, 3))
        return 1 - difference / image[:, :8, :8].mean()

    chance = random_heat((4, 4), (32, 32), (0, 0))
    right, random, wrong = insertion_deletion(score, image, [corner, chance, 1 - corner], steps=16)
    assert right.insertion > random.insertion > wrong.insertion
    assert right.deletion < random.deletion < wrong.deletion


def test_batches_change_nothing() -> None:
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(2))
    heats = [centre_heat((8, 8)), random_heat((2, 2), (8, 8), (1, 1))]
    seen: list[int] = []

    def score(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels))
        return pixels.square().mean((1, 2, 3))

    assert insertion_deletion(score, image, heats, steps=5, batch=3) == insertion_deletion(
        score, image, heats, steps=5, batch=100
    )
    assert max(seen[:-1]) == 3, "no more at once than the batch"


@given(st.integers(0, 3), st.integers(0, 1000))
def test_every_pixel_has_one_rank_and_equal_ones_are_drawn_by_lot(levels: int, seed: int) -> None:
    heat = np.random.default_rng(seed).integers(0, levels + 1, (4, 5)).astype(np.float32)
    ranks = order(heat, seed)
    assert sorted(ranks.ravel()) == list(range(20))
    by_rank = heat.ravel()[np.argsort(ranks.ravel())]
    assert (np.diff(by_rank) <= 0).all(), "the most heat first"
    assert (order(heat, seed) == ranks).all()


def test_maps_to_compare_with() -> None:
    centre = centre_heat((5, 7))
    assert np.unravel_index(centre.argmax(), centre.shape) == (2, 3)
    assert centre.argmin() in (0, 6, 28, 34)
    one, same, other = (random_heat((3, 3), (12, 12), seed) for seed in ((0, 1), (0, 1), (0, 2)))
    assert (one == same).all()
    assert not (one == other).all()
    assert (one.min() >= 0, one.max()) == (True, 1)


def test_the_area_under_a_line() -> None:
    assert area(np.array([0.0, 1.0])) == 0.5
    assert area(np.array([1.0, 1.0, 1.0, 1.0])) == 1


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The sample's evaluation images with their masks, in the layout that ingest writes."""
    for number in range(12):
        image, mask, emotion = generate_evaluation_image(3, number, 64)
        for folder, picture, ending in ((emotion, image, "jpg"), (f"masks/{emotion}", mask, "png")):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            picture.save(tmp_path / folder / f"{number:03d}.{ending}")
    (tmp_path / "dataset.json").write_text('{"synthetic": true}')
    return tmp_path


def test_a_map_that_is_the_mask_wins_the_pointing_game_and_its_opposite_loses(sample: Path) -> None:
    images = load_task(FolderTask(), sample)
    for index in range(len(images)):
        path = mask_path(images, index)
        assert path is not None
        mask = read_mask(path, Image.open(images.paths[index]).size, resize=64, crop=64)
        assert 0 < mask.mean() < 0.9
        assert points_inside(mask.astype(np.float32), mask)
        assert not points_inside(1 - mask.astype(np.float32), mask)


def test_the_stage_scores_both_games_on_the_sample_s_masks(
    sample: Path, classifier: ImageClassifier, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("explained")
    made = ImageClassifier(classifier.backbone, torch.nn.Linear(512, 6), EMOTIONS, image_size=64)
    save_classifier(folder / "predictor", made, {"method": "VisE", "task": "sample"})
    spec = ExplainSpec(limit=3, faithfulness=True, faithfulness_steps=4)
    reporter = LocalReporter(folder / "out")
    result = run(spec, {"predictor": folder / "predictor", "dataset": sample}, folder / "work", reporter)
    rows = json.loads(reporter.artifacts["explanations"].read_text())["images"]
    assert result.pointing == pytest.approx(100 * np.mean([row["points_inside"] for row in rows]))
    assert 0 < result.pointing_chance < 100
    for part in ("insertion", "deletion"):
        for name in ("map", "random", "centre"):
            means = np.mean([row["faithfulness"][part][name] for row in rows])
            assert getattr(getattr(result.faithfulness, part), name) == pytest.approx(means)
            assert 0 < means < 1
