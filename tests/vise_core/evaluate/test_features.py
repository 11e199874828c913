"""Features that are not finite: the image is named, and nothing is trained on them."""

from pathlib import Path

import pytest
import torch

from tests.vise_core.evaluate.specs import small_spec
from vise_core.errors import BadInput
from vise_core.evaluate import stage
from vise_core.evaluate.stage import run
from vise_core.models.backbones import build_backbone

SPEC = small_spec(epochs=2)


@pytest.fixture
def broken(monkeypatch):
    """Lets evaluations take a backbone whose first batch-norm has this variance and weight."""

    def use(variance: float, weight: float) -> None:
        def build(name: str, *, seed: int):
            made = build_backbone(name, seed=seed)
            with torch.no_grad():
                made.trunk.bn1.running_var.fill_(variance)
                made.trunk.layer4[1].bn2.weight.fill_(weight)
            return made

        monkeypatch.setattr(stage, "build_backbone", build)

    return use


@pytest.mark.parametrize("augment", [False, True], ids=["cached", "augmented"])
def test_a_negative_variance_is_found_at_the_first_image(
    augment, broken, colours: Path, tmp_path: Path, reporter
) -> None:
    broken(-1.0, 1.0)
    spec = SPEC.model_copy(update={"augment": augment})
    message = r"blue/0\.png: its features under resnet18 are NaN or infinite \(30 of 30 images"
    with pytest.raises(BadInput, match=message):
        run(spec, {"dataset": colours}, tmp_path, reporter)
    assert reporter.artifacts == {}
    assert reporter.curves == {}


def test_features_too_large_for_half_precision_say_so(
    broken, colours: Path, tmp_path: Path, reporter
) -> None:
    broken(1.0, 1e7)
    spec = SPEC.model_copy(update={"feature_dtype": "float16"})
    with pytest.raises(BadInput, match="too large for float16; set feature_dtype to float32"):
        run(spec, {"dataset": colours}, tmp_path, reporter)
