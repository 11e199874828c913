"""A tiny model that was really pretrained on sample posts, by the stages themselves."""

from pathlib import Path
from typing import Any

import pytest

from vise_core.reporter import LocalReporter
from vise_core.specs.stages import validate_spec
from vise_core.stage import run_stage

SPECS: dict[str, dict[str, Any]] = {
    "ingest": {"source": {"kind": "sample", "posts": 240, "evaluation_images": 60, "image_size": 48}},
    "cluster": {
        "subset": {"cluster_fraction": 0.3},
        "comments": {"kmeans": {"k": 12}},
        "reactions": {"kmeans": {"k": 6}},
    },
    "label": {},
    "pretrain": {"backbone": "resnet18", "epochs": 3, "batch": 32, "image_size": 32, "min_crop": 0.35},
}
INPUTS: dict[str, tuple[str, ...]] = {
    "ingest": (),
    "cluster": ("posts",),
    "label": ("posts", "clusterer"),
    "pretrain": ("posts", "labels"),
}


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All artifacts by name, from posts to checkpoint."""
    made: dict[str, Path] = {}
    for stage, spec in SPECS.items():
        folder = tmp_path_factory.mktemp(stage)
        reporter = LocalReporter(folder / "artifacts")
        inputs = {role: made[role] for role in INPUTS[stage]}
        run_stage(stage, validate_spec(stage, spec), inputs, folder / "work", reporter)
        made |= reporter.artifacts
    return made
