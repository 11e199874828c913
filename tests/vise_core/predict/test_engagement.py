"""What a really pretrained model expects, against the same computed from the files themselves."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torchvision.transforms import functional as F

from vise_core.errors import BadCheckpoint, BadImage
from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint import load_backbone, load_heads, save_checkpoint
from vise_core.posts.sample import generate_evaluation_image
from vise_core.predict import Engagement, EngagementPredictor
from vise_core.specs.models.predict import EngagementOptions
from vise_core.specs.posts.fields import REACTIONS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor(pretrained: dict[str, Path]) -> EngagementPredictor:
    return EngagementPredictor.load(pretrained["checkpoint"], pretrained["inspection"])


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return generate_evaluation_image(99, 2, 80)[0].convert("RGB")


@pytest.fixture(scope="module")
def expected(pretrained: dict[str, Path], image: Image.Image) -> dict[str, np.ndarray]:
    """Softmax of weights times feature plus bias, in numpy, from the tensors as they lie in heads.safetensors."""
    backbone = load_backbone(pretrained["checkpoint"]).eval()
    card = json.loads((pretrained["checkpoint"] / "checkpoint.json").read_text())
    small = F.center_crop(F.resize(image, [card["resize"]]), [card["image_size"]] * 2)
    pixels = F.normalize(F.to_tensor(small), card["mean"], card["std"])
    with torch.no_grad():
        feature = backbone.trunk(pixels[None])
    feature = feature.numpy().ravel() if feature.ndim == 2 else feature.mean((2, 3)).numpy().ravel()
    tensors = load_file(pretrained["checkpoint"] / "heads.safetensors")
    probabilities = {}
    for name in ("comments", "reactions"):
        logits = tensors[f"{name}.weight"].astype(np.float64) @ feature + tensors[f"{name}.bias"]
        raised = np.exp(logits - logits.max())
        probabilities[name] = raised / raised.sum()
    return probabilities


@pytest.mark.slow
def test_comment_clusters_are_those_of_the_head_with_their_words(
    predictor: EngagementPredictor, pretrained: dict[str, Path], image, expected
) -> None:
    answer = predictor.predict(image, EngagementOptions(top=5))
    order = np.argsort(-expected["comments"])[:5]
    assert [c.cluster for c in answer.comments] == order.tolist()
    assert [c.probability for c in answer.comments] == pytest.approx(expected["comments"][order], rel=1e-4)
    assert answer.comment_mass == pytest.approx(expected["comments"][order].sum(), rel=1e-4)
    records = json.loads(pretrained["inspection"].read_text())["comments"]
    for told in answer.comments:
        assert [list(term) for term in told.terms] == records[told.cluster]["terms"]
        assert list(told.comments) == records[told.cluster]["comments"]
    assert any(told.terms for told in answer.comments)


def test_reactions_are_the_clusters_means_weighted_by_probability(
    predictor: EngagementPredictor, pretrained: dict[str, Path], image, expected
) -> None:
    answer = predictor.predict(image)
    assert answer.reaction_clusters == pytest.approx(expected["reactions"], rel=1e-4)
    records = json.loads(pretrained["inspection"].read_text())["reactions"]
    for name in REACTIONS:
        by_hand = sum(p * r["reactions"][name] for p, r in zip(expected["reactions"], records, strict=True))
        assert answer.reactions[name] == pytest.approx(by_hand, rel=1e-4)
    assert sum(answer.reactions.values()) == pytest.approx(1, abs=1e-3)


def test_more_clusters_than_there_are_is_all_of_them(predictor: EngagementPredictor, image) -> None:
    answer = predictor.predict(image, EngagementOptions(top=100))
    assert len(answer.comments) == 12
    assert answer.comment_mass == pytest.approx(1)
    assert sorted(c.cluster for c in answer.comments) == list(range(12))


def test_without_an_inspection_clusters_have_numbers_only(pretrained: dict[str, Path], image) -> None:
    answer = EngagementPredictor.load(pretrained["checkpoint"]).predict(image)
    assert answer.comments[0].terms == ()
    assert answer.reactions is None
    assert sum(answer.reaction_clusters) == pytest.approx(1)


def test_a_model_of_one_signal_says_nothing_of_the_other(
    pretrained: dict[str, Path], image, tmp_path: Path
) -> None:
    """VisE-R: reactions only."""
    heads = load_heads(pretrained["checkpoint"])
    backbone = load_backbone(pretrained["checkpoint"])
    save_checkpoint(tmp_path / "r", backbone, {"reactions": heads["reactions"]}, image_size=32)
    answer = EngagementPredictor.load(tmp_path / "r", pretrained["inspection"]).predict(image)
    assert isinstance(answer, Engagement)
    assert (answer.comments, answer.comment_mass) == (None, 0)
    assert answer.reactions is not None


def test_weights_without_heads_and_another_clusterer_are_refused(
    pretrained: dict[str, Path], tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "bare", build_backbone("resnet18", seed=0), {}, image_size=32)
    with pytest.raises(BadCheckpoint, match="no head for comments or reactions"):
        EngagementPredictor.load(tmp_path / "bare")
    other = json.loads(pretrained["inspection"].read_text())
    other["comments"].pop()
    (tmp_path / "inspection.json").write_text(json.dumps(other))
    with pytest.raises(
        BadCheckpoint, match="describes 11 comment clusters, but the checkpoint's head has 12"
    ):
        EngagementPredictor.load(pretrained["checkpoint"], tmp_path / "inspection.json")
    (tmp_path / "inspection.json").write_text("{")
    with pytest.raises(BadCheckpoint, match=r"not JSON.*cluster again"):
        EngagementPredictor.load(pretrained["checkpoint"], tmp_path / "inspection.json")


def test_what_is_no_image_is_refused(predictor: EngagementPredictor) -> None:
    with pytest.raises(BadImage):
        predictor.predict(b"<svg onload='alert(1)'/>")


def test_it_needs_nothing_but_its_files(pretrained: dict[str, Path], image, tmp_path: Path) -> None:
    shutil.copytree(pretrained["checkpoint"], tmp_path / "copy")
    shutil.copy(pretrained["inspection"], tmp_path / "inspection.json")
    moved = EngagementPredictor.load(tmp_path / "copy", tmp_path / "inspection.json")
    first = EngagementPredictor.load(pretrained["checkpoint"], pretrained["inspection"])
    assert moved.predict(image) == first.predict(image)
