import pytest
import torch

from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier
from vise_core.models.heads import linear_head


@pytest.fixture(scope="session")
def classifier() -> ImageClassifier:
    """A small real network, untrained, with three classes and random but fixed weights."""
    head = linear_head(512, 3, seed=1)
    made = ImageClassifier(build_backbone("resnet18", seed=0), head, ("blue", "green", "red"), image_size=64)
    return made.eval()


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(4, 3, 64, 96, generator=torch.Generator().manual_seed(0))
