"""A file that is not exactly of its format is refused, and told why."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from tests.vise_core.models.payload import Payload
from vise_core.errors import BadCheckpoint, BadInput
from vise_core.models.checkpoint import save_checkpoint
from vise_core.models.checkpoint_formats import CHECKPOINT_FORMATS, KnownFile, read_published, recognise
from vise_core.models.checkpoint_formats.account import load
from vise_core.models.checkpoint_formats.contents import Contents, read_contents
from vise_core.models.checkpoint_formats.digest import digests, identify

Published = Callable[[str], Any]
Tensors = dict[str, torch.Tensor]

LAST_CONVOLUTION = {
    # Their name of a convolution's weight, (2048, 512, 1, 1).
    "in-sup": "layer4.2.conv3.weight",
    "wsl-images": "layer4.2.conv3.weight",
    "moco-v2": "module.encoder_q.layer4.2.conv3.weight",
    "grid-feats-vqa": "backbone.res5.2.conv3.weight",
    "virtex": "layer4.2.conv3.weight",
    "torchvision": "module.layer4.2.conv3.weight",
    "virtex-model": "visual.cnn.layer4.2.conv3.weight",
    "icmlm-tfm": "conditional.cnn.layer4.2.conv3.weight",
    "icmlm-att-fc": "conditional.cnn.layer4.2.conv3.weight",
    "clip-rn50": "visual.layer4.2.conv3.weight",
    "vise-released": "7.2.conv3.weight",
    "vise-checkpoint": "layer4.2.conv3.weight",
}


def changed(contents: Contents, wrapper: str | None, change: Callable[[Tensors], object]) -> Contents:
    """The same file with other tensors; nothing is written."""
    entries = dict(contents.entries)
    tensors = dict(entries[wrapper]) if wrapper else entries
    change(tensors)
    return replace(contents, entries=entries | {wrapper: tensors} if wrapper else tensors)


@pytest.mark.parametrize("name", LAST_CONVOLUTION)
@pytest.mark.slow
def test_a_key_too_few_or_too_many_or_misshapen_is_refused(published: Published, name: str) -> None:
    layout = CHECKPOINT_FORMATS[name]
    whole = read_contents(published(name).path)
    key = LAST_CONVOLUTION[name]
    prefix = key.removesuffix("weight")
    wrapper = "state_dict" if name == "torchvision" else layout.wrapper

    def refusal(change: Callable[[Tensors], object]) -> str:
        with pytest.raises(BadCheckpoint) as caught:
            load(layout, changed(whole, wrapper, change))
        return str(caught.value)

    assert "1 keys missing (layer4.2.conv3.weight)" in refusal(lambda t: t.pop(key))
    surprise = refusal(lambda t: t.update({f"{prefix}surprise": torch.zeros(1)}))
    assert "1 keys that" in surprise
    assert "conv3.surprise" in surprise
    stranger = refusal(lambda t: t.update({"stranger.weight": torch.zeros(1)}))
    assert "stranger.weight" in stranger
    misshapen = refusal(lambda t: t.update({key: t[key].transpose(0, 1)}))
    assert "layer4.2.conv3.weight has shape" in misshapen
    assert "expected (2048, " in misshapen
    assert "is torch.int64" in refusal(lambda t: t.update({key: t[key].long()}))
    assert "holds NaN" in refusal(lambda t: t.update({key: t[key] * float("nan")}))
    other = "vise-checkpoint" if name != "vise-checkpoint" else "in-sup"
    with pytest.raises(BadCheckpoint, match=f"it is a {whole.kind} file or folder"):
        load(CHECKPOINT_FORMATS[other], whole)


def test_every_format_is_in_this_test() -> None:
    assert LAST_CONVOLUTION.keys() == CHECKPOINT_FORMATS.keys()
    assert all(name == layout.name for name, layout in CHECKPOINT_FORMATS.items())
    assert all(
        layout.licence and layout.trained_on and layout.source for layout in CHECKPOINT_FORMATS.values()
    )


def test_one_key_beside_the_prefix_or_missing_is_no_icmlm(published: Published) -> None:
    layout = CHECKPOINT_FORMATS["icmlm-tfm"]
    whole = read_contents(published("icmlm-tfm").path)
    for change in (
        lambda t: t.update({"stranger.weight": torch.zeros(1)}),
        lambda t: t.pop("conditional.cnn.layer4.2.conv3.weight"),
        lambda t: t.update({"fc.weight": torch.zeros(1)}),
    ):
        with pytest.raises(BadCheckpoint, match=r"1 keys (that it does not have|missing \(layer4)"):
            load(layout, changed(whole, None, change))
    with pytest.raises(BadCheckpoint, match="fc"):
        load(layout, read_contents(published("in-sup").path))


def test_without_all_of_batch_norms_counters_or_none_it_is_refused(published: Published) -> None:
    layout = CHECKPOINT_FORMATS["in-sup"]
    whole = read_contents(published("in-sup").path)
    counters = [name for name in whole.entries if name.endswith("num_batches_tracked")]
    with pytest.raises(BadCheckpoint, match=r"1 keys missing \(bn1.num_batches_tracked\)"):
        load(layout, changed(whole, None, lambda t: t.pop(counters[0])))
    _, _, added = load(layout, changed(whole, None, lambda t: [t.pop(name) for name in counters]))
    assert added == (
        f"{len(counters)} num_batches_tracked that the file has not were set to 0; no output depends on them",
    )


def test_two_names_of_one_tensor_become_two_tensors(published: Published, tmp_path: Path) -> None:
    shared = torch.rand(2, 64)
    whole = read_contents(published("in-sup").path)
    same = changed(whole, None, lambda t: t.update({"bn1.weight": shared[0], "bn1.bias": shared[0]}))
    backbone, _, _ = load(CHECKPOINT_FORMATS["in-sup"], same)
    state = backbone.trunk.state_dict()
    assert torch.equal(state["bn1.weight"], shared[0])
    save_checkpoint(tmp_path, backbone, {}, image_size=224)  # safetensors would refuse shared ones
    state["bn1.weight"].zero_()
    assert torch.equal(state["bn1.bias"], shared[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("fc.bias"), r"no fc.bias \(ImageNet classifier\)"),
        (
            lambda t: t.update({"layer1.0.conv2.weight": torch.zeros(128, 4, 3, 3)}),
            "not a ResNet that is known",
        ),
    ],
)
def test_a_torchvision_file_must_be_whole(published: Published, change: Any, message: str) -> None:
    with pytest.raises(BadCheckpoint, match=message):
        load(CHECKPOINT_FORMATS["in-sup"], changed(read_contents(published("in-sup").path), None, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.update(pixel_mean=torch.tensor([123.675, 116.28, 103.53])),
            "pixel_mean is .* other input",
        ),
        (lambda t: t.update(pixel_std=torch.tensor([57.375, 57.12, 58.395])), "pixel_std is .* other input"),
        (
            lambda t: t.update({"backbone.stem.conv1.norm.num_batches_tracked": torch.tensor(1)}),
            "its batch-norm counts batches",
        ),
        (
            lambda t: t.update({"backbone.res2.0.conv2.weight": torch.zeros(256, 8, 3, 3)}),
            "only R-50 is known",
        ),
    ],
)
def test_grid_features_with_another_input_are_refused(
    published: Published, change: Any, message: str
) -> None:
    whole = read_contents(published("grid-feats-vqa").path)
    with pytest.raises(BadCheckpoint, match=message):
        load(CHECKPOINT_FORMATS["grid-feats-vqa"], changed(whole, "model", change))


@pytest.mark.slow
def test_what_lies_beside_the_weights_must_be_known_too(published: Published) -> None:
    whole = read_contents(published("moco-v2").path)
    more = replace(whole, entries={**whole.entries, "loss_scale": 3})
    with pytest.raises(BadCheckpoint, match="loss_scale"):
        load(CHECKPOINT_FORMATS["moco-v2"], more)


@pytest.mark.slow
def test_clips_other_networks_are_refused(published: Published) -> None:
    whole = read_contents(published("clip-rn50").path)
    deeper = changed(
        whole, None, lambda t: t.update({"visual.layer3.6.conv1.weight": torch.zeros(256, 1024, 1, 1)})
    )
    with pytest.raises(BadCheckpoint, match=r"only RN50 is known here.*not \(3, 4, 7, 3\)"):
        load(CHECKPOINT_FORMATS["clip-rn50"], deeper)


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "content",
    [
        {"a": torch.zeros(1)},
        {
            "state_dict": {
                "module.encoder_q.conv1.weight": torch.zeros(1),
                "module.encoder_q.fc.weight": torch.zeros(1),
            }
        },
        {"model": {}},
        {},
        {"epoch": 3},
    ],
    ids=["one tensor", "MoCo-v1", "no model", "nothing", "no tensors"],
)
def test_an_unknown_file_is_told_what_there_is(tmp_path: Path, content: object) -> None:
    with pytest.raises(BadCheckpoint) as caught:
        recognise(written(tmp_path / "what.pth", content))
    message = str(caught.value)
    assert message.startswith("what.pth: of no format that is known here")
    assert all(name in message for name in CHECKPOINT_FORMATS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.write_text("not weights"), "it is a text file that begins with 'not weights'"),
        (lambda p: p.write_bytes(b""), "it is empty; download it again"),
        (lambda p: written(p, [torch.zeros(1)]), "holds a list, not tensors by name"),
        (lambda p: written(p, {3: torch.zeros(1)}), "whose name is no name"),
        (lambda p: written(p, {"a" * 600: torch.zeros(1)}), "whose name is no name"),
        (lambda p: written(p, {"a\x1b[2J": torch.zeros(1)}), "whose name is no name"),
        (
            lambda p: written(p, {"a": torch.zeros(3).to_sparse()}),
            "a is not an ordinary tensor: it is sparse",
        ),
        (
            lambda p: written(p, {"a": torch.zeros(3, device="meta")}),
            r"a is not an ordinary tensor: it is without data \(meta\)",
        ),
        (lambda p: written(p, {f"{i}": i for i in range(20_001)}), "20,001 entries"),
        (lambda p: p.mkdir(), "a folder without checkpoint.json"),
        (lambda p: None, "there is no such file"),
    ],
)
def test_what_is_no_checkpoint_at_all_is_refused(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "w.pth")
    with pytest.raises(BadCheckpoint, match=message):
        read_published(tmp_path / "w.pth")


@pytest.mark.parametrize("place", ["tensor", "beside", "legacy"])
def test_a_hostile_file_runs_nothing(tmp_path: Path, place: str) -> None:
    trace = tmp_path / "trace"
    state = {f"module.encoder_q.{n}": t for n, t in torchvision.models.resnet18().state_dict().items()}
    content = (
        {"state_dict": state, "optimizer": Payload(trace)} if place != "tensor" else {"a": Payload(trace)}
    )
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=place != "legacy")
    with pytest.raises(BadCheckpoint, match=r"w.pth: .*nothing in it was run"):
        read_published(tmp_path / "w.pth")
    assert not trace.exists()
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert trace.exists()


def small(path: Path) -> Path:
    return written(path, torchvision.models.resnet18().state_dict())


def test_a_file_named_like_a_published_one_must_be_that_one(tmp_path: Path) -> None:
    with pytest.raises(
        BadCheckpoint,
        match=r"resnet18-f37072fd.pth: it is named like .* SHA-256 is [0-9a-f]{64}, not f37072fd",
    ):
        read_published(small(tmp_path / "resnet18-f37072fd.pth"))
    read = read_published(small(tmp_path / "mine.pth"), format="in-sup")
    assert (read.row, read.verified, read.backbone.name) == ("IN-Sup", False, "resnet18")
    assert any("neither digest nor name" in note for note in read.notes)


def test_the_digest_that_somebody_expects_is_held(tmp_path: Path) -> None:
    path = small(tmp_path / "mine.pth")
    digest = digests(path).sha256
    assert read_published(path, format="in-sup", sha256=digest[:12].upper()).sha256 == digest
    with pytest.raises(BadCheckpoint, match=f"mine.pth: its SHA-256 is {digest}, expected 00ff"):
        read_published(path, sha256="00ff")


def test_a_published_file_is_known_by_its_digest_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "RN50 (1).pt"
    path.write_bytes(b"abc")
    layout = replace(
        CHECKPOINT_FORMATS["in-sup"],
        files=(KnownFile("a.pth", sha256="00"), KnownFile("b.pth", md5="90015098", row="B")),
    )
    # RFC 1321, A.5: MD5 of "abc" begins with 90015098; FIPS 180-2, B.1: its SHA-256 with ba7816bf.
    assert identify(layout, path, digests(path)) == (layout.files[1], True)
    layout = replace(layout, files=(KnownFile("a.pth", sha256="ba7816bf"),))
    assert identify(layout, path, digests(path)) == (layout.files[0], True)
    with pytest.raises(BadCheckpoint, match=r"its MD5 is 90015098.*, not 1234"):
        identify(replace(layout, files=(KnownFile(path.name, md5="1234"),)), path, digests(path))


def test_a_published_hash_is_the_one_in_the_files_name_or_address() -> None:
    known = [file for layout in CHECKPOINT_FORMATS.values() for file in layout.files]
    with_hash = [file for file in known if file.sha256]
    assert len(with_hash) == 8
    for file in with_hash:
        assert file.sha256[:8] in file.name or f"/{file.sha256}/" in file.url
        bytes.fromhex(file.sha256)
    assert {file.md5 for file in known if file.md5} == {"a04e12f8", "59fd9945"}


def test_an_unknown_format_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown 'dino'; one of in-sup, "):
        read_published(small(tmp_path / "w.pth"), format="dino")


@pytest.mark.slow
def test_a_file_of_another_format_than_named_is_refused(published: Published) -> None:
    with pytest.raises(BadCheckpoint, match="not MoCo-v2 ResNet-50: no tensors under the entry 'state_dict'"):
        read_published(published("virtex").path, format="moco-v2")
    with pytest.raises(BadCheckpoint, match=r"not VirTex's visual backbone: 2 keys .*fc.bias, fc.weight"):
        read_published(published("in-sup").path, format="virtex")
