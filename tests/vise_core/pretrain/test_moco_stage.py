"""MoCo-v2 through the stage: which posts it takes, what it reports, and what it hands on."""

from pathlib import Path

import pytest
import torch

from vise_core.errors import BadInput, MissingInput
from vise_core.formats.checkpoint import read_checkpoint_card
from vise_core.formats.posts import ShardIndex
from vise_core.models.checkpoint import load_backbone, load_heads
from vise_core.posts.subsets import pretrain_rank
from vise_core.pretrain.labels import read_labels, unlabelled
from vise_core.pretrain.stage import run
from vise_core.pretrain.trainer import build_network, train
from vise_core.reporter import LocalReporter
from vise_core.specs.compute import PretrainCompute
from vise_core.specs.pretrain import CosineDecay, MocoSettings, PretrainSpec
from vise_core.training.distributed import Group, process_group
from vise_core.training.state import SavedState

SPEC = PretrainSpec(
    objective="moco-v2",
    backbone="resnet18",
    image_size=32,
    epochs=2,
    batch=8,
    base_lr=1.0,
    warmup=0,
    decay=CosineDecay(),
    log_every=1,
    seed=11,
    moco=MocoSettings(queue=32, momentum=0.99, dim=16),
    compute=PretrainCompute(device="cpu"),
)


@pytest.mark.slow
def test_the_query_encoder_is_handed_on_without_heads(material, tmp_path: Path) -> None:
    reporter = LocalReporter(tmp_path / "artifacts")
    result = run(SPEC, {"posts": material.posts}, tmp_path, reporter)
    assert (result.posts, result.iterations, result.synthetic) == (44, 10, True)
    for name in ("loss", "acc_contrast", "lr", "images_per_second"):
        assert sorted(reporter.curves[name]) == list(range(1, 11))
    last = [reporter.curves["loss"][step] for step in range(6, 11)]
    assert result.final_loss == result.final_losses["contrast"] == pytest.approx(sum(last) / 5)
    accuracies = [reporter.curves["acc_contrast"][step] for step in range(6, 11)]
    assert result.final_measures == {"acc_contrast": pytest.approx(sum(accuracies) / 5)}
    assert result.headline().keys() == {"loss", "acc_contrast", "images_per_second"}
    assert reporter.curves["lr"][1] == pytest.approx(1 / 32)
    assert reporter.curves["lr"][6] == pytest.approx(1 / 64)
    assert any("MoCo-v2 on one process: batch-norm is not shuffled" in m for m in reporter.messages)

    checkpoint = reporter.artifacts["checkpoint"]
    card = read_checkpoint_card(checkpoint)
    assert (card.heads, card.spec["objective"], card.synthetic) == ({}, "moco-v2", True)
    assert load_heads(checkpoint) == {}
    state = SavedState(tmp_path, reporter).load("training")["network"]
    trunk = load_backbone(checkpoint).trunk.state_dict()
    assert all(torch.equal(value, state[f"backbone.trunk.{name}"]) for name, value in trunk.items())
    assert not torch.equal(trunk["conv1.weight"], state["key.0.trunk.conv1.weight"])


@pytest.mark.slow
def test_with_labels_it_takes_exactly_the_posts_that_vise_takes(make_material, tmp_path: Path) -> None:
    """Every third post has no label; of the rest a subset of 17 is asked for."""
    material = make_material(44, lambda i: ([], None) if i % 3 == 0 else ([1], 2))
    posts = ShardIndex.open(material.posts)
    spec = SPEC.model_copy(update={"posts_limit": 17, "epochs": 1})
    reporter = LocalReporter(tmp_path / "artifacts")
    assert run(spec, material.inputs, tmp_path / "labels", reporter).posts == 17
    assert any(message.startswith("17 of 44 posts have a label") for message in reporter.messages)
    # The same images: another set would give another first loss.
    chosen = read_labels(material.labels, posts, spec.signals, limit=17, seed=spec.seed)
    assert all(int(i) % 3 for i in chosen.images)
    again = LocalReporter(tmp_path / "again")
    network = build_network(spec, chosen.clusters)
    train(spec, network, posts, chosen, Group(), tmp_path / "again", again)
    assert again.curves["loss"] == reporter.curves["loss"]


def test_without_labels_it_takes_every_post_or_a_nested_subset(material) -> None:
    posts = ShardIndex.open(material.posts)
    assert unlabelled(posts).images.tolist() == list(range(44))
    few, more = (unlabelled(posts, limit=n, seed=3).images.tolist() for n in (5, 12))
    assert set(few) < set(more)
    assert more == sorted(more)
    lowest = sorted(range(44), key=lambda i: pretrain_rank(posts.read_post(i).id, 3))
    assert set(more) == set(lowest[:12])


def test_vise_without_labels_says_what_is_missing(material, tmp_path: Path) -> None:
    spec = PretrainSpec(backbone="resnet18", image_size=32, batch=8, compute=PretrainCompute(device="cpu"))
    with pytest.raises(MissingInput, match="objective is vise: give the input 'labels', made by label"):
        run(spec, {"posts": material.posts}, tmp_path, LocalReporter(tmp_path))


@pytest.mark.slow
def test_processes_that_cannot_share_the_batch_are_refused_before_training(material, tmp_path: Path) -> None:
    compute = PretrainCompute(device="cpu", processes=2)
    spec = SPEC.model_copy(update={"batch": 1, "compute": compute})
    with pytest.raises(BadInput, match="batch: 1 cannot be shared evenly by 2 processes"):
        run(spec, {"posts": material.posts}, tmp_path, LocalReporter(tmp_path))


@pytest.mark.slow
def test_a_process_that_dies_before_it_joins_ends_the_run(tmp_path: Path) -> None:
    compute = PretrainCompute(device="cpu", processes=2)
    # Its arguments cannot be unpickled over there, so it never gets as far as joining.
    with (
        pytest.raises(RuntimeError, match="process 1 ended with exit code 1 before it joined"),
        process_group(compute.device, compute.processes, _never, Unreadable()),
    ):
        pass


def _never(group: object, value: object) -> None:
    raise AssertionError("it never joins")


class Unreadable:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return int, ("not a number",)
