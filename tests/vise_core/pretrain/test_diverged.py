"""Pretraining that diverges: found before the weights are touched, named, and never saved."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vise_core.errors import Diverged, Stopped
from vise_core.formats.posts import ShardIndex
from vise_core.pretrain import trainer
from vise_core.pretrain.labels import read_labels
from vise_core.pretrain.objectives import OBJECTIVES
from vise_core.pretrain.stage import run
from vise_core.pretrain.trainer import build_network, train
from vise_core.reporter import LocalReporter
from vise_core.specs.compute import PretrainCompute
from vise_core.specs.pretrain import MocoSettings, PretrainSpec
from vise_core.training.distributed import Group
from vise_core.training.finite import not_finite
from vise_core.training.state import SavedState
from vise_core.training.watch import Watch

SPEC = PretrainSpec(
    backbone="resnet18",
    image_size=32,
    epochs=3,
    batch=9,
    base_lr=0.5,
    warmup=0,
    log_every=100,
    checkpoint_seconds=3600,
    compute=PretrainCompute(device="cpu"),
)
MOCO = SPEC.model_copy(update={"objective": "moco-v2", "moco": MocoSettings(queue=18, dim=8)})


def saved(workspace: Path) -> dict | None:
    state = SavedState(workspace, LocalReporter(workspace))
    return state.load("training") if state.facts else None


@pytest.mark.parametrize("spec", [SPEC, MOCO], ids=["vise", "moco-v2"])
@pytest.mark.slow
def test_a_rate_that_is_too_high_fails_the_run_and_saves_nothing_that_is_not_finite(
    spec, material, tmp_path: Path
) -> None:
    hopeless = spec.model_copy(update={"base_lr": 1e36})
    reporter = LocalReporter(tmp_path / "artifacts")
    message = r"training diverged: .* not finite from iteration [1-4] of 12 on, at learning rate 3\.516e\+34"
    with pytest.raises(Diverged, match=message) as caught:
        run(hopeless, material.inputs, tmp_path, reporter)
    assert "Lower base_lr, or lengthen warmup" in str(caught.value)
    assert reporter.artifacts == {}
    state = saved(tmp_path)
    assert state is None or not_finite({"network": state["network"]}) is None


def poisoned(monkeypatch, at: int, part: str) -> None:
    """Makes one value of iteration ``at`` NaN: the loss itself, or its gradient alone."""
    objective, calls = OBJECTIVES["vise"], [0]

    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(context, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(context, gradient: Tensor) -> Tensor:
            return gradient * math.nan

    def values(*args: object) -> dict[str, Tensor]:
        calls[0] += 1
        losses = objective.values(*args)
        if calls[0] != at:
            return losses
        return {
            name: value * math.nan if part == "loss" else Poison.apply(value)
            for name, value in losses.items()
        }

    monkeypatch.setitem(OBJECTIVES, "vise", replace(objective, values=values))


@pytest.mark.parametrize("part", ["loss", "gradient"])
@pytest.mark.slow
def test_the_first_iteration_is_named_though_the_log_comes_later(
    part: str, material, tmp_path: Path, monkeypatch
) -> None:
    poisoned(monkeypatch, 3, part)
    with pytest.raises(Diverged, match=r"not finite from iteration 3 of 12 on, at learning rate 0\.01758 "):
        run(SPEC, material.inputs, tmp_path, LocalReporter(tmp_path / "artifacts"))
    assert saved(tmp_path) is None, "the first state would have been that of the epoch's end"


@pytest.mark.parametrize("part", ["loss", "gradient"])
@pytest.mark.slow
def test_a_step_that_is_not_finite_leaves_the_weights_as_they_were(
    part: str, material, tmp_path: Path, monkeypatch
) -> None:
    posts = ShardIndex.open(material.posts)
    labels = read_labels(material.labels, posts, SPEC.signals)
    one, two = (build_network(SPEC, labels.clusters) for _ in range(2))
    with pytest.raises(Stopped):
        train(SPEC, one, posts, labels, Group(), tmp_path / "one", StopAt(tmp_path, 1))
    poisoned(monkeypatch, 2, part)
    with pytest.raises(Diverged):
        train(SPEC, two, posts, labels, Group(), tmp_path / "two", StopAt(tmp_path, 2))
    after_one = dict(one.named_parameters())
    assert all(torch.equal(after_one[name], value) for name, value in two.named_parameters())


class StopAt(LocalReporter):
    """Asks to stop after so many iterations."""

    def __init__(self, folder: Path, iterations: int) -> None:
        super().__init__(folder)
        self._left = iterations

    def should_stop(self) -> bool:
        self._left -= 1
        return self._left <= 0


def test_a_buffer_that_is_not_finite_is_not_saved(material, tmp_path: Path, monkeypatch) -> None:
    """Batch-norm's variance can overflow while the loss is finite: the outputs are divided by infinity."""
    build = trainer.build_network

    def broken(*args: object) -> nn.Module:
        network = build(*args)
        network.backbone.trunk.bn1.running_var.fill_(math.inf)
        return network

    monkeypatch.setattr("vise_core.pretrain.stage.build_network", broken)
    with pytest.raises(
        Diverged, match=r"network\.backbone\..*bn1\.running_var is not finite from iteration 4 of 12"
    ):
        run(SPEC, material.inputs, tmp_path, LocalReporter(tmp_path / "artifacts"))
    assert saved(tmp_path) is None


@pytest.mark.slow
def test_a_run_that_does_not_diverge_is_not_changed_by_the_watch(
    material, tmp_path: Path, monkeypatch
) -> None:
    spec = SPEC.model_copy(update={"epochs": 1})
    run(spec, material.inputs, tmp_path / "watched", LocalReporter(tmp_path / "a"))
    monkeypatch.setattr(Watch, "step", lambda *_args, **_options: None)
    run(spec, material.inputs, tmp_path / "not", LocalReporter(tmp_path / "b"))
    watched, other = saved(tmp_path / "watched"), saved(tmp_path / "not")
    assert watched is not None
    assert other is not None
    assert all(torch.equal(value, other["network"][name]) for name, value in watched["network"].items())


@pytest.mark.slow
def test_all_processes_end_together(material, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"base_lr": 1e36, "compute": PretrainCompute(device="cpu", processes=2)})
    with pytest.raises(Diverged, match="training diverged"):
        run(spec, material.inputs, tmp_path, LocalReporter(tmp_path / "artifacts"))


def test_the_watch_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.9, fused=True)
    watch = Watch(torch.device("cpu"))
    told = []
    for iteration, (loss, gradient) in enumerate(
        [(1.0, 0.5), (1.0, 1e30), (1.0, math.inf), (math.nan, 0.5), (1.0, 0.5)], start=1
    ):
        weight.grad = torch.full((2,), gradient)
        before = weight.detach().clone()
        watch.add(torch.tensor(loss))
        watch.step(iteration, [weight], optimizer, scaled=False)
        optimizer.step()
        told.append((watch.read(Group()), bool(torch.equal(before, weight))))
    # Finite gradients however large take their step; the first that is not is remembered.
    assert told == [(None, False), (None, False), (3, True), (3, False), (3, False)]


def test_a_loss_scaler_skips_gradients_that_are_too_large_as_a_matter_of_course() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0, fused=True)
    watch = Watch(torch.device("cpu"))
    weight.grad = torch.full((2,), math.inf)
    watch.add(torch.tensor(1.0))
    watch.step(1, [weight], optimizer, scaled=True)
    assert watch.read(Group()) is None
    watch.add(torch.tensor(math.inf))
    watch.step(2, [weight], optimizer, scaled=True)
    assert watch.read(Group()) == 2, "a loss that is not finite is no matter of the scale"


def test_what_is_not_finite_is_named() -> None:
    state = {"a": torch.ones(2), "b": {"c": torch.tensor([1.0, math.nan]), "d": torch.ones(0)}, "n": 3}
    assert not_finite(state) == "b.c"
    assert not_finite({"a": torch.full((2,), 3e38), "i": torch.ones(1, dtype=torch.int64)}) is None
    assert not_finite({}) is None
