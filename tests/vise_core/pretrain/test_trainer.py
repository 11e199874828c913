"""The loop: the same gradient however the batch is cut, over steps or over processes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vise_core.errors import BadInput, Stopped
from vise_core.formats.posts import ShardIndex
from vise_core.models.backbones import Backbone
from vise_core.models.heads import linear_head
from vise_core.pretrain.data import BatchPlan
from vise_core.pretrain.labels import read_labels
from vise_core.pretrain.stage import run
from vise_core.pretrain.trainer import build_network, train
from vise_core.pretrain.vise import Network
from vise_core.reporter import LocalReporter
from vise_core.specs.compute import PretrainCompute
from vise_core.specs.pretrain import PretrainSpec
from vise_core.training.distributed import Group, process_group

SPEC = PretrainSpec(
    backbone="resnet18",
    image_size=32,
    epochs=2,
    batch=9,
    base_lr=0.5,
    warmup=0,
    log_every=1,
    compute=PretrainCompute(device="cpu"),
)


class Tiny(nn.Module):
    """A trunk without batch-norm, so that cutting a batch changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 512, 5, stride=4)

    def forward_features(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x))


def train_tiny(
    spec: PretrainSpec, material, workspace: Path, group: Group | None = None
) -> tuple[Network, LocalReporter]:
    posts = ShardIndex.open(material.posts)
    labels = read_labels(material.labels, posts, spec.signals)
    torch.manual_seed(0)
    heads = {name: linear_head(512, labels.clusters[name], seed=1) for name in spec.signals}
    network = Network(Backbone("resnet18", Tiny()), heads)
    reporter = LocalReporter(workspace)
    train(spec, network, posts, labels, group or Group(), workspace, reporter)
    return network, reporter


@pytest.mark.parametrize("accumulate", [2, 9])
def test_accumulation_changes_nothing(material, tmp_path: Path, accumulate: int) -> None:
    whole, whole_curves = train_tiny(SPEC, material, tmp_path / "whole")
    cut, cut_curves = train_tiny(
        SPEC.model_copy(update={"accumulate": accumulate}), material, tmp_path / "cut"
    )
    for name in ("loss", "loss/comments", "loss/reactions"):
        assert list(whole_curves.curves[name].values()) == pytest.approx(
            list(cut_curves.curves[name].values()), rel=1e-5
        )
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def follow(group: Group, spec: PretrainSpec, material, workspace: Path) -> None:
    """What the second process does."""
    train_tiny(spec, material, workspace, group)


@pytest.mark.slow
def test_two_processes_train_as_one_does(material, tmp_path: Path) -> None:
    """9 images over 2 processes and 2 steps: uneven parts, heads with gaps, and the same network."""
    one, one_curves = train_tiny(SPEC, material, tmp_path / "one")
    spec = SPEC.model_copy(update={"accumulate": 2})
    two_processes = PretrainCompute(device="cpu", processes=2)
    with process_group(
        two_processes.device, two_processes.processes, follow, spec, material, tmp_path / "two"
    ) as group:
        assert (group.rank, group.world) == (0, 2)
        two, two_curves = train_tiny(spec, material, tmp_path / "two", group)
    for name in ("loss", "loss/comments", "loss/reactions"):
        assert list(one_curves.curves[name].values()) == pytest.approx(
            list(two_curves.curves[name].values()), rel=1e-5
        )
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_the_stage_runs_on_two_processes_and_goes_on_with_one(material, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"epochs": 1, "compute": PretrainCompute(device="cpu", processes=2)})
    reporter = LocalReporter(tmp_path / "artifacts", stop=True)
    with pytest.raises(Stopped, match="after iteration 1 of 4"):
        run(spec, material.inputs, tmp_path, reporter)
    reporter.stop = False
    result = run(
        spec.model_copy(update={"compute": PretrainCompute(device="cpu")}),
        material.inputs,
        tmp_path,
        reporter,
    )
    assert sorted(reporter.curves["loss"]) == [1, 2, 3, 4]
    assert result.final_loss == pytest.approx(sum(reporter.curves["loss"].values()) / 4)


@pytest.mark.slow
def test_what_fails_in_another_process_is_told_here(material, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"compute": PretrainCompute(device="cpu", processes=2)})
    _, rows = next(BatchPlan(44, 9, spec.seed, world=2).batches(0, 1))
    posts = ShardIndex.open(material.posts)
    image = posts.read_image(int(rows[-1]))  # the last of a batch is the last process's
    for shard in material.posts.glob("*.tar"):
        shard.write_bytes(shard.read_bytes().replace(image, b"\0" * len(image)))
    with pytest.raises(BadInput, match=f"post 'post-{rows[-1]}': its image no longer decodes"):
        run(spec, material.inputs, tmp_path, LocalReporter(tmp_path))


@pytest.mark.parametrize(("signals", "other"), [(("comments",), "reactions"), (("reactions",), "comments")])
def test_one_signal_alone(material, tmp_path: Path, signals, other: str) -> None:
    _, reporter = train_tiny(SPEC.model_copy(update={"signals": signals}), material, tmp_path)
    assert f"loss/{other}" not in reporter.curves
    assert reporter.curves["loss"] == reporter.curves[f"loss/{signals[0]}"]


def test_the_first_loss_is_that_of_a_network_that_knows_nothing(material, tmp_path: Path) -> None:
    """Equal biases drop out of a softmax: the loss starts near ln 7 + ln 5, the entropy of a guess."""
    _, reporter = train_tiny(SPEC, material, tmp_path)
    assert reporter.curves["loss/comments"][1] == pytest.approx(1.946, abs=0.4)
    assert reporter.curves["loss/reactions"][1] == pytest.approx(1.609, abs=0.4)
    assert reporter.curves["lr"][1] == pytest.approx(0.5 / 256 * 9)


def test_it_learns(make_material, tmp_path: Path) -> None:
    """Both labels follow from the brightest channel, which a crop or a flip leaves as it is."""
    material = make_material(18, lambda i: ([i % 3], i % 3))
    spec = SPEC.model_copy(update={"epochs": 30, "base_lr": 2.0})
    _, reporter = train_tiny(spec, material, tmp_path)
    assert reporter.curves["loss"][60] < 0.2 * reporter.curves["loss"][1]


def test_bfloat16_and_contiguous_layout_train(material, tmp_path: Path) -> None:
    compute = PretrainCompute(device="cpu", amp="bf16", channels_last=False)
    network, reporter = train_tiny(SPEC.model_copy(update={"compute": compute}), material, tmp_path)
    full, full_curves = train_tiny(SPEC, material, tmp_path / "full")
    assert reporter.curves["loss"][1] == pytest.approx(full_curves.curves["loss"][1], rel=0.02)
    assert all(p.dtype == torch.float32 for p in network.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), full.parameters(), strict=True))


def test_too_large_a_batch_says_so(material, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="batch: 45 is more than the 44 posts"):
        run(SPEC.model_copy(update={"batch": 45}), material.inputs, tmp_path, LocalReporter(tmp_path))


def test_the_seed_fixes_the_network() -> None:
    clusters = {"comments": 7, "reactions": 5}
    first, again = (build_network(SPEC, clusters).state_dict() for _ in range(2))
    other = build_network(SPEC.model_copy(update={"seed": 1}), clusters).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["heads.comments.weight"], other["heads.comments.weight"])
