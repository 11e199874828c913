"""A published file becomes a checkpoint of our own that says where it comes from, and is judged under its name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from pydantic import ValidationError

from vise_core.errors import BadCheckpoint, BadInput, Stopped
from vise_core.evaluate.stage import load_weights
from vise_core.evaluate.stage import run as evaluate
from vise_core.formats.checkpoint import read_checkpoint_card
from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint import load_backbone, save_checkpoint
from vise_core.models.checkpoint_formats import read_published
from vise_core.models.heads import linear_head
from vise_core.models.import_stage import chosen_file
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.setups import PretrainedWeights
from vise_core.specs.import_weights import ImportResult, ImportSpec
from vise_core.stage import run_stage


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A data set: a folder with one file of torchvision's ResNet-18."""
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.save(torchvision.models.resnet18().state_dict(), folder / "r18.pth")
    return folder


@pytest.fixture
def reporter(tmp_path: Path) -> LocalReporter:
    return LocalReporter(tmp_path / "published")


def imported(place: Path, reporter: LocalReporter, workspace: Path, **spec: object) -> ImportResult:
    spec = {"format": None if any(place.rglob("checkpoint.json")) else "in-sup"} | spec
    result = run_stage("import", ImportSpec.model_validate(spec), {"file": place}, workspace, reporter)
    assert isinstance(result, ImportResult)
    return result


def test_a_file_is_imported_with_its_source(weights: Path, reporter: LocalReporter, tmp_path: Path) -> None:
    result = imported(weights, reporter, tmp_path / "work")
    folder = reporter.artifacts["checkpoint"]
    card = read_checkpoint_card(folder)
    assert (card.backbone, card.heads, card.format) == ("resnet18", {}, "vise-checkpoint-1")
    source = card.source
    assert source is not None
    assert (source.format, source.row, source.file, source.verified) == ("in-sup", "IN-Sup", "r18.pth", False)
    assert source.dropped == ("fc.weight", "fc.bias")
    assert len(source.sha256) == 64
    assert "BSD-3-Clause" in source.licence
    assert (result.row, result.sha256, result.parameters) == ("IN-Sup", source.sha256, 11_176_512)
    assert result.dropped == ("fc.weight: ImageNet classifier", "fc.bias: ImageNet classifier")
    assert any("left out: fc.weight: ImageNet classifier" in line for line in reporter.messages)
    state = torch.load(weights / "r18.pth", weights_only=True)
    ours = load_backbone(folder).trunk.state_dict()
    assert all(
        torch.equal(ours[name], tensor) for name, tensor in state.items() if not name.startswith("fc.")
    )


@pytest.mark.slow
def test_a_row_of_ones_own_and_an_expected_digest(
    weights: Path, reporter: LocalReporter, tmp_path: Path
) -> None:
    digest = imported(weights, reporter, tmp_path / "first").sha256
    result = imported(
        weights / "r18.pth", reporter, tmp_path / "work", row="IN-Sup (mine)", sha256=digest[:16]
    )
    assert result.row == "IN-Sup (mine)"
    assert read_checkpoint_card(reporter.artifacts["checkpoint"]).source.row == "IN-Sup (mine)"
    with pytest.raises(BadCheckpoint, match="SHA-256"):
        imported(weights, reporter, tmp_path / "other", sha256="0" * 64)
    with pytest.raises(BadCheckpoint, match="not MoCo-v2"):
        imported(weights, reporter, tmp_path / "other", format="moco-v2")


def test_a_folder_with_several_files_needs_a_name(weights: Path, tmp_path: Path) -> None:
    (weights / "other.pth").write_text("x")
    (weights / ".hidden").write_text("x")
    with pytest.raises(BadInput, match=r"file: say which of other.pth, r18.pth in weights"):
        chosen_file(weights, None)
    assert chosen_file(weights, "r18.pth") == weights / "r18.pth"
    assert chosen_file(weights / "r18.pth", None) == weights / "r18.pth"
    for place, name in ((weights, "absent.pth"), (weights, ".hidden"), (weights / "r18.pth", "other.pth")):
        with pytest.raises(BadInput, match="file: "):
            chosen_file(place, name)
    (tmp_path / "outside.pth").write_text("x")
    (weights / "link.pth").symlink_to(tmp_path / "outside.pth")
    with pytest.raises(BadInput, match=r"there is no link\.pth"):
        chosen_file(weights, "link.pth")


@pytest.mark.parametrize("name", ["../r18.pth", "a/b.pth", "..", "a\\b", "a\n"])
def test_a_name_is_never_a_path(name: str) -> None:
    with pytest.raises(ValidationError, match="name of a file"):
        ImportSpec(file=name)


def test_a_stop_is_heard(weights: Path, reporter: LocalReporter, tmp_path: Path) -> None:
    reporter.stop = True
    with pytest.raises(Stopped):
        imported(weights, reporter, tmp_path / "work")
    assert reporter.artifacts == {}


@pytest.mark.slow
def test_our_own_checkpoint_keeps_its_row_and_its_origin(
    weights: Path, reporter: LocalReporter, tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "pretrained"
    heads = {"comments": linear_head(512, 4)}
    save_checkpoint(folder, build_backbone("resnet18", seed=1), heads, image_size=48, synthetic=True)
    result = imported(folder.parent, reporter, tmp_path / "work")
    card = read_checkpoint_card(reporter.artifacts["checkpoint"])
    assert (result.row, result.synthetic, card.synthetic) == ("VisE-C", True, True)
    assert (card.image_size, card.resize, card.source.row) == (48, 55, "VisE-C")
    assert card.source.dropped == ("heads.comments.bias", "heads.comments.weight")

    imported(weights, reporter, tmp_path / "first", row="mine")
    again = read_published(reporter.artifacts["checkpoint"])
    assert (again.format.name, again.row, again.source.format) == ("vise-checkpoint", "mine", "in-sup")
    assert again.source == read_checkpoint_card(reporter.artifacts["checkpoint"]).source


def test_a_checkpoint_that_was_not_imported_has_no_source(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, build_backbone("resnet18", seed=0), {}, image_size=48, spec={"a": None})
    content = json.loads((tmp_path / "checkpoint.json").read_text())
    assert content.keys() == {
        "backbone",
        "image_size",
        "resize",
        "mean",
        "std",
        "synthetic",
        "format",
        "heads",
        "spec",
        "source",
    }
    assert content["source"] is None
    assert content["spec"] == {"a": None}
    assert read_checkpoint_card(tmp_path).source is None


@pytest.mark.slow
def test_an_evaluation_names_what_was_imported(
    weights: Path, reporter: LocalReporter, tmp_path: Path
) -> None:
    imported(weights, reporter, tmp_path / "import")
    folder = reporter.artifacts["checkpoint"]
    loaded = load_weights(EvaluateSpec(weights=PretrainedWeights()), {"checkpoint": folder}, reporter)
    assert (loaded.row, loaded.name, loaded.synthetic) == ("IN-Sup", "in-sup", False)

    rng = np.random.default_rng(0)
    for name, colour in {"red": (220, 30, 30), "blue": (30, 30, 220)}.items():
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.clip(np.array(colour) + rng.normal(0, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    spec = EvaluateSpec.model_validate(
        {
            "weights": {"kind": "pretrained"},
            "augment": False,
            "image_size": 32,
            "epochs": 2,
            "milestones": [1],
            "splits": {"count": 1},
            "task": {"kind": "folder", "name": "colours"},
        }
    )
    result = evaluate(spec, {"dataset": tmp_path / "set", "checkpoint": folder}, tmp_path / "work", reporter)
    assert (result.method, result.weights, result.backbone) == ("IN-Sup", "in-sup", "resnet18")
