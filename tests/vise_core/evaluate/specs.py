"""Small evaluations of an untrained network, for tests."""

from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.setups import RandomWeights
from vise_core.specs.tasks.splits import SplitSpec


def splits(count: int) -> SplitSpec:
    """Return splits with 60 % in train, 20 % in val and the rest in test."""
    return SplitSpec(count=count, train=0.6, val=0.2)


def small_spec(**fields: object) -> EvaluateSpec:
    """Return a linear evaluation of cached features of tiny images, with these fields."""
    own = {"splits": splits(1), "milestones": (), "batch": 8, "image_size": 32, "augment": False}
    return EvaluateSpec(**{"weights": RandomWeights(backbone="resnet18"), **own, **fields})
