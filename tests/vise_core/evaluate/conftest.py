from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vise_core.evaluate import stage
from vise_core.evaluate.cache import FeaturesCache
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateResult

COLOURS = {"blue": (30, 30, 220), "green": (30, 200, 30), "red": (220, 30, 30)}


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty noisy pictures of three colours: any network's features tell them apart."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for number in range(10):
            pixels = np.clip(np.array(colour) + rng.normal(0, 25, (36, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def reporter(tmp_path: Path) -> LocalReporter:
    return LocalReporter(tmp_path / "published")


@pytest.fixture(autouse=True)
def feature_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of features for each test, so that none takes what another computed."""
    folder = tmp_path / "features-cache"
    monkeypatch.setattr(stage, "features_cache", lambda: FeaturesCache(folder))
    return folder


class StopAfter(LocalReporter):
    """Asks to stop after so many questions: a cancel at any moment one likes."""

    questions = 10**9

    def should_stop(self) -> bool:
        self.questions -= 1
        return self.questions < 0


@pytest.fixture
def stop_after(tmp_path: Path) -> Callable[[int], LocalReporter]:
    def make(questions: int) -> LocalReporter:
        reporter = StopAfter(tmp_path / "stopped")
        reporter.questions = questions
        return reporter

    return make


@pytest.fixture
def timeless() -> Callable[[EvaluateResult], EvaluateResult]:
    """A result without the seconds that its trainings took: all else must be the same, run after run."""

    def strip(result: EvaluateResult) -> EvaluateResult:
        unmeasured = {"seconds": None, "iteration_seconds": None}
        splits = tuple(
            split.model_copy(
                update={
                    "chosen": split.chosen.model_copy(update=unmeasured),
                    "grid": tuple(point.model_copy(update=unmeasured) for point in split.grid),
                }
            )
            for split in result.splits
        )
        return result.model_copy(update={"splits": splits})

    return strip
