"""Each format: a file made by an independent network gives that network's features, and every key is told of."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint
from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint_formats import CHECKPOINT_FORMATS, read_published, recognise

FILES = [*CHECKPOINT_FORMATS, "clip-rn50 state dict"]
Published = Callable[[str], Any]


def ours(backbone, images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.mean, backbone.std))
    with torch.no_grad():
        return backbone.eval()((images - mean) / std)


def distance(found: Tensor, wanted: Tensor) -> float:
    """Largest difference against the largest value."""
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("name", FILES)
@pytest.mark.slow
def test_features_are_those_of_the_authors_network(published: Published, images: Tensor, name: str) -> None:
    example = published(name)
    read = read_published(example.path, format=example.format, row=example.row)
    assert read.format.name == name.removesuffix(" state dict")
    found = ours(read.backbone, images)
    with torch.no_grad():
        wanted = example.features(images)
    assert found.shape == wanted.shape == (2, 2048)
    assert distance(found, wanted) < 1e-4
    # A network that has collapsed would agree with anything.
    assert distance(wanted[:1], wanted[1:]) > 1e-2
    assert wanted.abs().gt(1e-3 * wanted.abs().max()).float().mean() > 0.1
    assert torch.isfinite(wanted).all()


DROPPED = {
    "in-sup": {"fc.weight", "fc.bias"},
    "wsl-images": {"fc.weight", "fc.bias"},
    "virtex": set(),
    "icmlm-tfm": set(),
    "icmlm-att-fc": set(),
    "vise-released": set(),
    "virtex-model": {
        "optimizer",
        "scheduler",
        "iteration",
        "textual.embedding.weight",
        "textual.output.weight",
        "textual.output.bias",
        "backward_textual.output.weight",
        "backward_textual.output.bias",
    },
    "grid-feats-vqa": {
        "optimizer",
        "scheduler",
        "iteration",
        "pixel_mean",
        "pixel_std",
        "roi_heads.box_predictor.weight",
        "roi_heads.box_predictor.bias",
        "proposal_generator.rpn_head.weight",
        "proposal_generator.rpn_head.bias",
    },
    "vise-checkpoint": {
        f"heads.{n}" for n in ("comments.weight", "comments.bias", "reactions.weight", "reactions.bias")
    },
}


@pytest.mark.parametrize("name", DROPPED)
@pytest.mark.slow
def test_what_is_left_out_is_named(published: Published, name: str) -> None:
    example = published(name)
    read = read_published(example.path, format=example.format, row=example.row)
    assert set(read.dropped_keys) == DROPPED[name]
    rules = " ".join(read.dropped)
    assert all(
        any(rule.covers(key) and rule.name in rules for rule in (*read.format.drops, *read.format.beside))
        for key in read.dropped_keys
    )


@pytest.mark.slow
def test_of_moco_the_query_encoder_is_kept(published: Published) -> None:
    read = read_published(published("moco-v2").path)
    dropped = set(read.dropped_keys)
    assert {"epoch", "arch", "optimizer", "module.queue", "module.queue_ptr"} <= dropped
    assert {"module.encoder_q.fc.0.weight", "module.encoder_q.fc.2.bias"} <= dropped
    assert {k for k in dropped if k.startswith("module.encoder_q.")} == {
        f"module.encoder_q.fc.{i}.{part}" for i in (0, 2) for part in ("weight", "bias")
    }
    key = {k for k in dropped if k.startswith("module.encoder_k.")}
    assert len(key) == len(read.backbone.trunk.state_dict()) + 4


@pytest.mark.parametrize("name", ["clip-rn50", "clip-rn50 state dict"])
@pytest.mark.slow
def test_of_clip_the_visual_tower_is_kept_up_to_its_pool(published: Published, name: str) -> None:
    read = read_published(published(name).path)
    kept = [k for k in read.dropped_keys if k.startswith("visual.") and not k.startswith("visual.attnpool.")]
    assert kept == []
    assert {
        "visual.attnpool.positional_embedding",
        "transformer.resblocks.0.attn.in_proj_weight",
        "logit_scale",
    } <= set(read.dropped_keys)
    assert {"input_resolution", "context_length", "vocab_size"} <= set(read.dropped_keys)
    assert read.backbone.name == "clip_resnet50"
    assert all(t.dtype in (torch.float32, torch.int64) for t in read.backbone.state_dict().values())
    assert any("before CLIP's attention pool" in note for note in read.notes)


@pytest.mark.slow
def test_the_row_the_licence_and_doubts_are_told(published: Published) -> None:
    rows = {
        name: read_published(published(name).path, format=published(name).format)
        for name in ("vise-released", "icmlm-tfm", "moco-v2", "vise-checkpoint")
    }
    assert {name: read.row for name, read in rows.items()} == {
        "vise-released": "VisE-250M",
        "icmlm-tfm": "ICMLM-tfm",
        "moco-v2": "MoCo-v2",
        "vise-checkpoint": "VisE",
    }
    assert rows["vise-released"].licence == "CC-BY-NC-4.0; not verified for this file"
    assert "250M" in rows["vise-released"].trained_on
    assert any(note.startswith("unverified") for note in rows["icmlm-tfm"].notes)
    assert not rows["icmlm-tfm"].format.verified
    assert rows["vise-checkpoint"].synthetic
    assert rows["vise-checkpoint"].backbone.image_size == 160
    assert not any(read.verified for read in rows.values())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("grid-feats-vqa", "resnet50"), ("in-sup", "resnet50_stride1x1")],
)
@pytest.mark.slow
def test_the_stride_is_a_trap_that_shapes_do_not_show(
    published: Published, images: Tensor, name: str, wrong: str
) -> None:
    example = published(name)
    state = read_published(example.path, format=example.format).backbone.trunk.state_dict()
    other = build_backbone(wrong)
    other.trunk.load_state_dict(state)
    with torch.no_grad():
        assert distance(ours(other, images), example.features(images)) > 1e-2


@pytest.mark.slow
def test_blue_and_red_are_not_exchanged(published: Published, images: Tensor) -> None:
    example = published("grid-feats-vqa")
    backbone = read_published(example.path).backbone
    with torch.no_grad():
        assert distance(ours(backbone, images.flip(1)), example.features(images)) > 1e-3


def test_a_bare_prefix_does_not_tell_which_icmlm_it_is(published: Published) -> None:
    with pytest.raises(BadCheckpoint, match=r"--format icmlm-tfm \(.*--format icmlm-att-fc"):
        recognise(published("icmlm-tfm").path)
