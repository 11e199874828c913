"""Checkpoints and classifiers come back as they were saved; anything else is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vise_core.errors import BadCheckpoint
from vise_core.formats.checkpoint import read_checkpoint_card
from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint import load_backbone, load_heads, save_checkpoint
from vise_core.models.classifier import ImageClassifier, load_classifier, save_classifier
from vise_core.models.heads import linear_head

CLASSES = ("anger", "fear", "joy")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    heads = {"comments": linear_head(512, 50, seed=1), "reactions": linear_head(512, 8, seed=2)}
    folder = tmp_path / "checkpoint"
    save_checkpoint(
        folder,
        build_backbone("resnet18", seed=0),
        heads,
        image_size=48,
        spec={"backbone": "resnet18", "epochs": 3},
        synthetic=True,
    )
    return folder


@pytest.fixture
def predictor(tmp_path: Path) -> Path:
    classifier = ImageClassifier(
        build_backbone("resnet18", seed=0), linear_head(512, 3, seed=1), CLASSES, image_size=48
    )
    folder = tmp_path / "predictor"
    save_classifier(folder, classifier, {"method": "VisE", "task": "emotions", "synthetic": True, "split": 2})
    return folder


def test_a_checkpoint_comes_back_as_it_was_saved(checkpoint: Path) -> None:
    assert sorted(p.name for p in checkpoint.iterdir()) == [
        "backbone.safetensors",
        "checkpoint.json",
        "heads.safetensors",
    ]
    backbone = load_backbone(checkpoint)
    original = build_backbone("resnet18", seed=0)
    assert all(torch.equal(backbone.state_dict()[k], v) for k, v in original.state_dict().items())
    assert (backbone.name, backbone.image_size, backbone.resize) == ("resnet18", 48, 55)
    card = read_checkpoint_card(checkpoint)
    assert card.format == "vise-checkpoint-1"
    assert card.heads == {"comments": 50, "reactions": 8}
    assert card.spec == {"backbone": "resnet18", "epochs": 3}
    assert card.synthetic
    heads = load_heads(checkpoint)
    assert torch.equal(heads["reactions"].weight, linear_head(512, 8, seed=2).weight)
    # Others can read the file: the names are torchvision's.
    assert "layer4.1.bn2.weight" in load_file(checkpoint / "backbone.safetensors")


def test_a_loaded_backbone_trains(checkpoint: Path) -> None:
    backbone = load_backbone(checkpoint)
    backbone(torch.randn(2, 3, 48, 48)).sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_a_classifier_comes_back_as_it_was_saved(predictor: Path) -> None:
    assert sorted(p.name for p in predictor.iterdir()) == ["model.safetensors", "predictor.json"]
    loaded = load_classifier(predictor)
    assert not loaded.training
    assert loaded.classes == CLASSES
    assert (loaded.image_size, loaded.resize) == (48, 55)
    assert loaded.metadata == {"method": "VisE", "task": "emotions", "synthetic": True, "split": 2}
    original = ImageClassifier(build_backbone("resnet18", seed=0), linear_head(512, 3, seed=1), CLASSES)
    images = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(loaded(images), original.eval()(images))


def test_the_normalisation_travels_with_the_weights(tmp_path: Path) -> None:
    backbone = build_backbone("resnet18", seed=0)
    backbone.mean, backbone.std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    save_classifier(tmp_path, ImageClassifier(backbone, linear_head(512, 3), CLASSES), {})
    loaded = load_classifier(tmp_path)
    assert (loaded.mean, loaded.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_a_head_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="512 → 4 does not fit 512 features and 3 classes"):
        ImageClassifier(build_backbone("resnet18"), linear_head(512, 4), CLASSES)


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def retensor(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: edit(f / "checkpoint.json", format="vise-checkpoint-9"), "format is 'vise-checkpoint-9'"),
        (lambda f: edit(f / "checkpoint.json", backbone="resnet9000"), "backbone: .*unknown backbone"),
        (lambda f: edit(f / "checkpoint.json", backbone="resnet34"), "tensors missing"),
        (lambda f: edit(f / "checkpoint.json", image_size=10**9), "image_size"),
        (lambda f: edit(f / "checkpoint.json", std=[0, 1, 1]), "std.0"),
        (lambda f: edit(f / "checkpoint.json", surprise=1), "surprise"),
        (lambda f: (f / "checkpoint.json").write_text("[" * 100_000), "not JSON"),
        (lambda f: (f / "checkpoint.json").write_text("[]"), "format is 'list'"),
        (lambda f: (f / "checkpoint.json").unlink(), "no checkpoint.json"),
        (lambda f: (f / "backbone.safetensors").unlink(), "no backbone.safetensors"),
        (lambda f: torch.save({"a": torch.zeros(1)}, f / "backbone.safetensors"), "not a safetensors file"),
        (lambda f: (f / "backbone.safetensors").write_bytes(b"\xff" * 64), "not a safetensors file"),
        (lambda f: retensor(f / "backbone.safetensors", lambda t: t.pop("bn1.weight")), "bn1.weight"),
        (
            lambda f: retensor(f / "backbone.safetensors", lambda t: t.update({"bn1.bias": torch.ones(3)})),
            r"bn1.bias has shape \(3,\)",
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused(checkpoint: Path, damage, message: str) -> None:
    damage(checkpoint)
    with pytest.raises(BadCheckpoint, match=message):
        load_backbone(checkpoint)


def test_heads_must_be_those_of_the_card(checkpoint: Path) -> None:
    edit(checkpoint / "checkpoint.json", heads={"comments": 51, "reactions": 8})
    with pytest.raises(BadCheckpoint, match=r"comments.* has shape"):
        load_heads(checkpoint)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: edit(f / "predictor.json", classes=["a", "b"]), "head.* has shape"),
        (lambda f: edit(f / "predictor.json", classes=["a", "a", "b"]), "names one twice"),
        (lambda f: edit(f / "predictor.json", classes=[]), "classes"),
        (lambda f: edit(f / "predictor.json", format="vise-checkpoint-1"), "format is"),
        (lambda f: retensor(f / "model.safetensors", lambda t: t.pop("head.bias")), "head.bias"),
    ],
)
def test_a_damaged_predictor_is_refused(predictor: Path, damage, message: str) -> None:
    damage(predictor)
    with pytest.raises(BadCheckpoint, match=message):
        load_classifier(predictor)
