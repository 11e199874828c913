from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vise_core.reporter import LocalReporter

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
