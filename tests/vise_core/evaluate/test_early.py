"""Early stopping: who is stopped, and that nobody else notices."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.vise_core.evaluate.specs import small_spec, splits
from vise_core.errors import Stopped
from vise_core.evaluate.early import falls_behind
from vise_core.evaluate.grid import choose_point, split_result
from vise_core.evaluate.linear.heads import HeadBatch
from vise_core.evaluate.stage import run
from vise_core.report.observations import observe
from vise_core.report.tables import build_table
from vise_core.specs.evaluate import EvaluateSpec, MedianStopping
from vise_core.specs.evaluation.results import GridPoint

RULE = MedianStopping(epochs=(2, 5), fewest=3)
LINEAR = small_spec(splits=splits(2), base_lrs=(1.0, 0.1, 1e-6, 1e-7), weight_decays=(0.0001,), epochs=8)
FINE_TUNED = LINEAR.model_copy(
    update={
        "protocol": "fine-tuned",
        "augment": True,
        "epochs": 3,
        "base_lrs": (0.3, 0.1, 1e-8),
        "splits": splits(1),
    }
)


def stopping(spec: EvaluateSpec, **rule: object) -> EvaluateSpec:
    return spec.model_copy(update={"early_stopping": MedianStopping.model_validate(rule)})


def test_only_who_is_below_the_median_at_a_named_epoch_falls_behind() -> None:
    values = [50.0, 60.0, 60.0, 80.0]
    assert [falls_behind(RULE, 2, value, values) for value in values] == [True, False, False, False]
    assert not falls_behind(RULE, 3, 50.0, values)
    assert not falls_behind(RULE, 2, 50.0, [60.0, 80.0]), "of too few points no median is taken"
    assert not falls_behind(None, 2, 0.0, values)
    assert not any(falls_behind(RULE, 5, 40.0, [40.0] * 9) for _ in range(9)), "who is even goes on"


@pytest.mark.parametrize("epochs", [(), (0,), (3, 3), (5, 2)])
def test_epochs_ascend(epochs) -> None:
    with pytest.raises(ValidationError):
        MedianStopping(epochs=epochs)


def test_off_unless_asked_for_and_never_at_the_end() -> None:
    assert EvaluateSpec().early_stopping is None
    with pytest.raises(ValidationError, match="before the end, epoch 10"):
        EvaluateSpec.model_validate({"epochs": 10, "milestones": [], "early_stopping": {"epochs": [10]}})


def point(lr: float, wd: float, val: float, stopped: int | None = None) -> GridPoint:
    return GridPoint(base_lr=lr, weight_decay=wd, val=val, test=None, stopped_at_epoch=stopped)


def test_a_stopped_point_is_not_chosen_unless_there_is_nothing_else() -> None:
    assert choose_point([point(1, 0, 90, stopped=2), point(2, 0, 70), point(3, 0, 80)]) == 2
    assert choose_point([point(1, 0, 60, stopped=2), point(2, 0, 70, stopped=5)]) == 1


def test_sensitivity_is_unknown_where_it_would_need_a_stopped_point() -> None:
    points = [point(1, 0.1, 90), point(1, 0.2, 70), point(2, 0.1, 20, stopped=2), point(2, 0.2, 60)]
    result = split_result(0, points, (7, 1, 2), ("", "", ""))
    assert result.chosen.val == 90
    assert (result.s_lr, result.s_wd) == (None, 10.0)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_heads_that_go_on_do_not_notice_that_others_are_gone(optimizer) -> None:
    torch.manual_seed(0)
    rows, labels = torch.randn(2, 12, 5), torch.randint(0, 3, (2, 12))
    heads, rates = [nn.Linear(5, 3), nn.Linear(5, 3)], torch.tensor([[0.1, 0.5, 0.02]] * 2)
    whole = HeadBatch(heads, [0.1, 0.0, 0.01], optimizer, 0.9)
    some = HeadBatch(heads, [0.1, 0.0, 0.01], optimizer, 0.9)
    for step in range(6):
        whole.step(rows, labels, rates)
        if step == 3:
            some.keep([[0, 2], [1]])
        some.step(rows, labels, rates if step < 3 else torch.tensor([[0.1, 0.02], [0.5, 0.5]]))
    assert some.counts == [2, 1]
    torch.testing.assert_close(some.weight[0], whole.weight[0, [0, 2]])
    torch.testing.assert_close(some.bias[0], whole.bias[0, [0, 2]])
    torch.testing.assert_close(some.logits(1, rows[1]), whole.logits(1, rows[1])[[1]])


@pytest.mark.slow
def test_linear_points_end_where_they_would_or_where_they_were_stopped(
    colours: Path, tmp_path: Path, reporter, timeless
) -> None:
    full = run(LINEAR, {"dataset": colours}, tmp_path / "full", reporter)
    spec = stopping(LINEAR, epochs=[2, 4])
    stopped = run(spec, {"dataset": colours}, tmp_path / "stopped", reporter)
    until = {
        epoch: run(
            LINEAR.model_copy(update={"epochs": epoch}), {"dataset": colours}, tmp_path / str(epoch), reporter
        )
        for epoch in (2, 4)
    }
    ended = [p for split in stopped.splits for p in split.grid if p.stopped_at_epoch]
    assert ended
    assert stopped.stopped_early
    assert not full.stopped_early
    for number, split in enumerate(stopped.splits):
        assert split.chosen.stopped_at_epoch is None
        for i, found in enumerate(split.grid):
            source = full if found.stopped_at_epoch is None else until[found.stopped_at_epoch]
            expected = source.splits[number].grid[i]
            assert found.val == pytest.approx(expected.val)
            if found.stopped_at_epoch is None:
                assert found.test == pytest.approx(expected.test)
            else:
                assert found.test is None, "test of a point that cannot be chosen is nobody's business"


@pytest.mark.parametrize("questions", [3, 6])
def test_a_stopped_run_goes_on_with_the_points_that_were_left(
    questions, colours: Path, tmp_path: Path, reporter, stop_after, timeless
) -> None:
    spec = stopping(LINEAR, epochs=[1, 2, 4])
    whole = run(spec, {"dataset": colours}, tmp_path / "whole", reporter)
    with pytest.raises(Stopped):
        run(spec, {"dataset": colours}, tmp_path / "cut", stop_after(questions))
    ended = run(spec, {"dataset": colours}, tmp_path / "cut", stop_after(10**9))
    assert timeless(ended) == timeless(whole)


@pytest.mark.slow
def test_fine_tuned_points_are_compared_with_those_before_them(
    colours: Path, tmp_path: Path, reporter, stop_after, timeless
) -> None:
    spec = stopping(FINE_TUNED, epochs=[1, 2], fewest=2)
    result = run(spec, {"dataset": colours}, tmp_path / "whole", reporter)
    first, second, third = result.splits[0].grid
    assert (first.stopped_at_epoch, second.stopped_at_epoch) == (None, None)
    assert third.stopped_at_epoch in (1, 2), "a rate of nothing learns nothing"
    assert third.test is None
    assert result.splits[0].s_lr is None
    assert max(reporter.curves["train_loss"]) == 6 + third.stopped_at_epoch
    with pytest.raises(Stopped):
        run(spec, {"dataset": colours}, tmp_path / "cut", stop_after(20))
    assert timeless(run(spec, {"dataset": colours}, tmp_path / "cut", stop_after(10**9))) == timeless(result)


def test_tables_say_that_points_were_stopped(colours: Path, tmp_path: Path, reporter) -> None:
    spec = stopping(LINEAR, epochs=[2])
    result = run(spec, {"dataset": colours}, tmp_path, reporter)
    table = build_table([result])
    assert [cell.marks for cell in table.cells.values()] == ["ce"]
    assert any(note.startswith("[e] early stopping") for note in table.notes())
    seen = observe(result)
    assert all(one.stopped for one in seen)
    unknown = any(split.s_lr is None for split in result.splits)
    assert unknown
    assert "s_lr" not in {one.metric for one in seen}
