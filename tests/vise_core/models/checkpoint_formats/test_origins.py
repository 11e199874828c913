"""Where weights come from is known by digest or because the user says so; keys alone never name a licence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from pydantic import ValidationError
from safetensors.torch import save_file

from vise_core.errors import BadCheckpoint, BadInput
from vise_core.models.checkpoint import load_backbone
from vise_core.models.checkpoint_formats import CHECKPOINT_FORMATS, read_published
from vise_core.models.import_stage import run
from vise_core.reporter import LocalReporter
from vise_core.specs.import_weights import ImportSpec
from vise_core.specs.models.published import PUBLISHED_FORMATS

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> Tensors:
    """A ResNet-18 in torchvision's names, without a classifier."""
    torch.manual_seed(0)
    return {n: t for n, t in torchvision.models.resnet18().state_dict().items() if not n.startswith("fc.")}


@pytest.fixture(scope="module")
def fifty() -> Tensors:
    torch.manual_seed(0)
    return {n: t for n, t in torchvision.models.resnet50().state_dict().items() if not n.startswith("fc.")}


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_the_spec_lists_the_formats_that_there_are() -> None:
    assert {
        name: layout.row if name != "torchvision" else "" for name, layout in CHECKPOINT_FORMATS.items()
    } == PUBLISHED_FORMATS
    with pytest.raises(ValidationError, match="unknown format 'dino'; choose one of in-sup, "):
        ImportSpec(format="dino")


@pytest.mark.slow
def test_dinos_backbone_is_not_virtex(fifty: Tensors, tmp_path: Path) -> None:
    """The file dino_resnet50_pretrain.pth: torchvision's names, no classifier."""
    path = written(tmp_path / "dino_resnet50_pretrain.pth", fifty)
    with pytest.raises(BadCheckpoint) as caught:
        read_published(path)
    message = str(caught.value)
    assert message.startswith("dino_resnet50_pretrain.pth: it is a resnet50 in torchvision's names")
    for choice in ("--format virtex", "--format icmlm-tfm", "--format icmlm-att-fc", "--row"):
        assert choice in message
    read = read_published(path, row="DINO")
    assert (read.row, read.licence, read.trained_on) == ("DINO", "not stated", "not stated")
    assert (read.format.name, read.verified, read.backbone.name) == ("torchvision", False, "resnet50")
    stated = read_published(path, row="VirTex")
    assert (stated.format.name, stated.row, stated.licence) == ("virtex", "VirTex", "MIT")
    assert any("as stated by the user" in note for note in stated.notes)
    assert read_published(path, format="virtex").row == "VirTex"


@pytest.mark.slow
def test_of_dinos_whole_checkpoint_the_network_is_asked_for(state: Tensors, tmp_path: Path) -> None:
    head = {"head.mlp.0.weight": torch.ones(2, 2), "head.last_layer.weight_g": torch.ones(2)}
    student = under("module.", under("backbone.", state) | head)
    teacher = under("backbone.", {n: t + 1 for n, t in state.items()}) | head
    content = {"student": student, "teacher": teacher, "epoch": 800, "dino_loss": {"center": torch.ones(1)}}
    path = written(tmp_path / "dino.pth", content)
    for options in ({}, {"row": "DINO"}):
        with pytest.raises(BadCheckpoint, match=r"2 networks .*: student.module.backbone, teacher.backbone"):
            read_published(path, **options)
    with pytest.raises(
        BadInput, match=r"there is no 'momentum' in the file; it holds student.module.backbone"
    ):
        read_published(path, row="DINO", network="momentum")
    read = read_published(path, row="DINO", network="teacher.backbone")
    ours = read.backbone.trunk.state_dict()
    assert torch.equal(ours["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"] + 1)
    # Every key is accounted for.
    assert set(read.dropped_keys) == {"student", "epoch", "dino_loss", *head}
    other = read_published(path, row="DINO", network="student.module.backbone")
    assert torch.equal(other.backbone.trunk.state_dict()["conv1.weight"], state["conv1.weight"])
    alone = written(tmp_path / "teacher.pth", {"teacher": teacher})
    assert read_published(alone, row="DINO").backbone.name == "resnet18"


@pytest.mark.parametrize(("classes", "asked"), [(1000, "--format in-sup"), (6, "--row")])
def test_a_classifier_does_not_make_it_torchvisions(
    state: Tensors, tmp_path: Path, classes: int, asked: str
) -> None:
    content = state | {"fc.weight": torch.zeros(classes, 512), "fc.bias": torch.zeros(classes)}
    path = written(tmp_path / "r18.pth", content)
    with pytest.raises(BadCheckpoint, match=f"with a classifier.*{asked}") as caught:
        read_published(path)
    assert ("in-sup" in str(caught.value)) == (classes == 1000)
    if classes == 1000:
        read = read_published(path, format="in-sup")
        assert (read.row, read.verified) == ("IN-Sup", False)
        assert any("as stated by the user" in note for note in read.notes)
    else:
        with pytest.raises(BadCheckpoint, match=r"fc.weight \(ImageNet classifier\) has not 1,000 rows"):
            read_published(path, format="in-sup")
    read = read_published(path, row="mine")
    assert (read.licence, read.dropped_keys) == ("not stated", ("fc.weight", "fc.bias"))


def test_torchvision_needs_a_row(state: Tensors, tmp_path: Path) -> None:
    path = written(tmp_path / "w.pth", state)
    with pytest.raises(BadCheckpoint, match="its row needs a name; give it with --row"):
        read_published(path, format="torchvision")
    assert read_published(path, format="torchvision", row="mine").row == "mine"


def test_a_files_name_proves_nothing(fifty: Tensors, tmp_path: Path) -> None:
    path = written(tmp_path / "backbone_bicaptioning_R_50_L1_H2048.pth", fifty)
    with pytest.raises(BadCheckpoint, match="Its name is that of a file of virtex, which proves nothing"):
        read_published(path)


@pytest.mark.slow
def test_which_of_the_released_vise_trunks_it_is_has_to_be_said(
    published: Callable[[str], Any], tmp_path: Path
) -> None:
    path = tmp_path / "trunk.pth"
    path.symlink_to(published("vise-released").path)
    with pytest.raises(BadCheckpoint, match=r"name it with --row, one of VisE-250M, VisE-1.2M"):
        read_published(path)
    read = read_published(path, row="VisE-1.2M")
    assert (read.row, read.licence) == ("VisE-1.2M", "CC-BY-NC-4.0")
    assert read.trained_on.startswith("1.23M")
    own = read_published(path, row="my trunk")
    assert (own.row, own.licence, own.trained_on) == ("my trunk", "not stated", "not stated")
    named = read_published(published("vise-released").path)
    assert any("taken from the file's name, which proves nothing" in note for note in named.notes)


@pytest.mark.slow
def test_mocos_keys_name_no_licence_of_somebody_elses_run(published: Callable[[str], Any]) -> None:
    """MoCo's code on other images gives the same keys."""
    path = published("moco-v2").path
    by_keys, stated, own = (
        read_published(path),
        read_published(path, format="moco-v2"),
        read_published(path, row="MoCo-v2 on posts"),
    )
    assert by_keys.row == stated.row == "MoCo-v2"
    assert by_keys.licence.endswith("not verified for this file")
    assert by_keys.trained_on.endswith("not verified for this file")
    assert stated.licence == CHECKPOINT_FORMATS["moco-v2"].licence
    assert (own.row, own.licence, own.trained_on) == ("MoCo-v2 on posts", "not stated", "not stated")


@pytest.mark.parametrize("entry", [None, "state_dict", "model", "model_state_dict", "net", "anything"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "backbone.", "module.encoder.", "_orig_mod."])
@pytest.mark.slow
def test_usual_wrappers_and_prefixes_are_taken_off_and_told(
    state: Tensors, tmp_path: Path, entry: str | None, prefix: str
) -> None:
    tensors = under(prefix, state | {"fc.weight": torch.zeros(3, 512), "fc.bias": torch.zeros(3)})
    content: dict[str, Any] = tensors
    if entry is not None:
        optimizer = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1).state_dict()
        content = {"epoch": 9, "arch": "resnet18", "best_acc1": 0.5, entry: tensors, "optimizer": optimizer}
    read = read_published(written(tmp_path / "w.pth", content), row="mine")
    ours = read.backbone.trunk.state_dict()
    assert ours.keys() == state.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in state.items())
    beside = {"epoch", "arch", "best_acc1", "optimizer"} if entry else set()
    assert set(read.dropped_keys) == {f"{prefix}fc.weight", f"{prefix}fc.bias"} | beside
    told = " ".join(read.notes)
    assert (f"under the entry {entry!r}" in told) == (entry is not None)
    assert (f"below the prefix {prefix!r}" in told) == bool(prefix)


@pytest.mark.parametrize("content", ["wrapped", "shelled", "both"])
@pytest.mark.slow
def test_released_vise_trunks_are_taken_out_of_their_wrappers(
    published: Callable[[str], Any], tmp_path: Path, content: str
) -> None:
    plain = torch.load(published("vise-released").path, weights_only=True)
    tensors = under("module.", plain) if content != "wrapped" else plain
    file = {"state_dict": tensors, "epoch": 3} if content != "shelled" else tensors
    read = read_published(written(tmp_path / "w.pth", file), row="VisE-250M")
    assert read.format.name == "vise-released"
    assert torch.equal(read.backbone.trunk.state_dict()["conv1.weight"], plain["0.weight"])
    assert read.dropped_keys == (("epoch",) if content != "shelled" else ())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.slow
def test_other_precisions_become_single_and_are_told(
    state: Tensors, tmp_path: Path, dtype: torch.dtype
) -> None:
    changed = {n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()}
    read = read_published(written(tmp_path / "w.pth", changed), row="mine")
    ours = read.backbone.trunk.state_dict()
    assert all(torch.equal(ours[n], t.float()) for n, t in changed.items() if t.is_floating_point())
    assert any(f"100 tensors were converted from {dtype} to torch.float32" in note for note in read.notes)
    # Scripts that halve everything halve the counters too.
    counters = {n: t.half() if "num_batches" in n else t for n, t in state.items()}
    read = read_published(written(tmp_path / "w.pth", counters), row="mine")
    assert any("20 num_batches_tracked that are no whole numbers" in note for note in read.notes)


@pytest.mark.parametrize("precision", ["single", "half"])
def test_a_safetensors_file_is_read_and_its_doubt_is_told(
    state: Tensors, tmp_path: Path, precision: str
) -> None:
    tensors = {n: t.half() if precision == "half" and t.ndim == 4 else t for n, t in state.items()}
    save_file(tensors, tmp_path / "model.safetensors")
    read = read_published(tmp_path / "model.safetensors", row="mine")
    ours = read.backbone.trunk.state_dict()
    assert all(torch.equal(ours[n], t.to(ours[n].dtype)) for n, t in tensors.items())
    assert any("the file has no checksums" in note for note in read.notes)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.slow
def test_files_of_every_age_give_the_same_tensors(state: Tensors, tmp_path: Path, zipped: bool) -> None:
    for protocol in (2, 3, 4, 5):
        path = tmp_path / f"{protocol}.pth"
        torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
        read = read_published(path, row="mine")
        ours = read.backbone.trunk.state_dict()
        assert all(torch.equal(ours[name], tensor) for name, tensor in state.items())
        assert any("the file has no checksums" in note for note in read.notes) == (not zipped)


def test_values_that_no_training_leaves_are_rejected(state: Tensors, tmp_path: Path) -> None:
    negative, diverged = dict(state), dict(state)
    negative["layer1.0.bn1.running_var"] = torch.full((64,), -0.5)
    diverged["conv1.weight"] = state["conv1.weight"] * float("inf")
    for tensors, message in (
        (negative, r"layer1.0.bn1.running_var holds -0.5; a variance is never negative"),
        (diverged, "conv1.weight holds NaN or infinity"),
    ):
        with pytest.raises(BadCheckpoint, match=message):
            read_published(written(tmp_path / "w.pth", tensors), row="mine")
    # Too large for single precision, though finite in the file.
    large = {n: t.double() * 1e300 if n == "conv1.weight" else t for n, t in state.items()}
    with pytest.raises(BadCheckpoint, match=r"conv1.weight holds NaN or infinity"):
        read_published(written(tmp_path / "w.pth", large), row="mine")


def test_weights_whose_features_are_not_finite_are_rejected(state: Tensors, tmp_path: Path) -> None:
    huge = {n: t * 1e37 if t.ndim == 4 else t for n, t in state.items()} | {"bn1.bias": torch.ones(64)}
    path = written(tmp_path / "w.pth", huge)
    with pytest.raises(BadCheckpoint, match=r"features .* are not finite"):
        run(ImportSpec(row="mine"), {"file": path}, tmp_path, LocalReporter(tmp_path / "published"))
    assert not (tmp_path / "checkpoint").exists()


def test_an_imported_row_travels_with_the_checkpoint(state: Tensors, tmp_path: Path) -> None:
    path = written(tmp_path / "w.pth", {"model": under("module.", state)})
    result = run(ImportSpec(row="mine"), {"file": path}, tmp_path, LocalReporter(tmp_path / "published"))
    assert (result.row, result.licence, result.format) == ("mine", "not stated", "torchvision")
    assert torch.equal(
        load_backbone(tmp_path / "checkpoint").trunk.state_dict()["bn1.weight"], state["bn1.weight"]
    )


def test_a_resnet_that_is_not_known_is_named_as_one(state: Tensors, tmp_path: Path) -> None:
    """As of Wide ResNet and ResNeXt-50: the names fit, the widths do not."""
    wide = state | {"layer1.0.conv2.weight": torch.zeros(128, 128, 3, 3)}
    for content in (wide, {"state_dict": under("module.", wide)}):
        with pytest.raises(
            BadCheckpoint, match=r"of a kind that is not known here; those are resnet18, resnet34"
        ):
            read_published(written(tmp_path / "w.pth", content), row="mine")


def test_keys_of_nothing_known_are_to_be_left_out(state: Tensors, tmp_path: Path) -> None:
    """SimCLR's code names the network f and its head g."""
    content = under("f.", state) | {"g.0.weight": torch.zeros(2, 2)}
    with pytest.raises(
        BadCheckpoint, match=r"\(g\.0\.weight\)\. Where they are heads or training state, leave them out"
    ):
        read_published(written(tmp_path / "w.pth", content), row="mine")
