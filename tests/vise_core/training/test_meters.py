"""Means over the window of the curves and over epochs, exact after a resume."""

import pytest
import torch

from vise_core.training.distributed import Group
from vise_core.training.meters import Clock, Meters

CPU = torch.device("cpu")


def values(**losses: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in losses.items()}


def test_parts_of_an_iteration_add_up_and_epochs_are_apart() -> None:
    meters = Meters(["loss", "acc"], CPU)
    for first, second in ((1.0, 2.0), (3.0, 4.0)):
        meters.add(values(loss=first, acc=10))
        meters.add(values(loss=second, acc=20))
        meters.count(epoch_ends=second == 4.0)
    assert meters.window_means(Group()) == {"loss": 5.0, "acc": 30.0}
    assert meters.last_epoch() == {"loss": 5.0, "acc": 30.0}
    meters.add(values(loss=7, acc=0))
    meters.count()
    assert meters.window_means(Group()) == {"loss": 7.0, "acc": 0.0}
    assert meters.last_epoch() == {"loss": 5.0, "acc": 30.0}


def test_means_of_batches_are_weighted_by_their_images() -> None:
    meters = Meters(["loss"], CPU)
    for loss, images in ((1.0, 8), (4.0, 2)):
        meters.add(values(loss=loss), weight=images)
        meters.count(images)
    assert meters.window_means(Group()) == {"loss": 1.6}


def test_a_saved_state_goes_on_exactly_and_counts_once_over_all_ranks() -> None:
    meters = Meters(["loss"], CPU)
    meters.add(values(loss=0.1))
    meters.count()
    leader, other = Meters(["loss"], CPU), Meters(["loss"], CPU)
    leader.load_state_dict(meters.state_dict(), Group())
    other.load_state_dict(meters.state_dict(), Group(rank=1, world=2))
    assert torch.equal(leader.sums, meters.sums)
    assert not other.sums.any()
    assert leader.counts == other.counts == meters.counts


def test_a_clock_goes_on_from_earlier_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    clock = Clock(5, images=40, seconds=10)
    now[0] += 4
    assert clock.throughput(48) == 2
    assert clock.seconds() == 14
    assert not clock.checkpoint_due()
    now[0] += 1
    assert clock.checkpoint_due()
    clock.saved()
    assert not clock.checkpoint_due()
