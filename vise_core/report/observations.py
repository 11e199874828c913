"""What our own evaluations measured, as loose numbers that any table or figure can pick from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from vise_core.specs.base import Record
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import GridPoint
from vise_core.specs.models.backbones import BACKBONES
from vise_core.specs.tasks.catalogue import TASKS

from .comparable import MeasuredOn, measured_on
from .published import Facts

SETUP_OF_TEXT_TASKS = frozenset(entry.title for entry in TASKS.values() if entry.text)
"""Only for these the paper names a setup; elsewhere there is nothing but the image."""

PAPER_NAMES = {
    name: next(other for other, plain in BACKBONES.items() if plain.title == entry.family)
    for name, entry in BACKBONES.items()
    if entry.family is not None
}
"""Variants that the paper counts as one backbone: CLIP's ResNet-50 stands in the rows of ResNet-50."""

SAME_METRIC = {"top1": "accuracy"}
"""Table 2 calls CUB's top-1 accuracy accuracy; on one label an image the two are one."""


class Observation(Record):
    """One quantity of one evaluation, with one value a split."""

    method: str
    backbone: str
    task: str
    protocol: str
    setup: str | None = Field(description="Towers used; None for a task without text.")
    split: Literal["val", "test"] | None = Field(description="None where it is not a score.")
    metric: str
    values: tuple[float, ...] = Field(min_length=1)
    run: str = Field("", description="Id of the run behind it.")
    synthetic: bool = False
    cached: bool = Field(False, description="Features computed once, without augmentation.")
    stopped: bool = Field(False, description="Early stopping ended points of the grid.")
    diverged: bool = Field(False, description="Points of the grid diverged, and were not chosen.")
    measured: MeasuredOn = Field(description="Data and splits: what else it may be compared with.")
    pretrained_on: int | None = Field(None, description="Images seen in pretraining, where known.")

    def fits(self, facts: Facts) -> bool:
        """Whether this is the number that the facts ask for; a fact that is None asks nothing."""
        wanted = {name: getattr(facts, name) for name in FACT_NAMES}
        return all(value is None or _same(name, value, getattr(self, name)) for name, value in wanted.items())


FACT_NAMES = ("task", "protocol", "setup", "split", "metric", "backbone", "method")


def _same(name: str, wanted: str, ours: str | None) -> bool:
    if name == "metric":
        return SAME_METRIC.get(wanted, wanted) == SAME_METRIC.get(ours or "", ours)
    return wanted == ours


def observe(result: EvaluateResult, run: str = "") -> list[Observation]:
    """Everything that Tables 2–7 and 9–16 could ask of an evaluation, at the points that val chose."""
    text = result.task in SETUP_OF_TEXT_TASKS
    common = {
        "method": result.method,
        "backbone": PAPER_NAMES.get(result.backbone, result.backbone),
        "task": result.task,
        "protocol": result.protocol,
        "setup": result.setup if text else None,
        "run": run,
        "synthetic": result.synthetic,
        "cached": result.features == "cached",
        "stopped": result.stopped_early,
        "diverged": result.diverged > 0,
        "measured": measured_on(result),
        "pretrained_on": result.pretrained_on,
    }
    return [
        Observation(split=split, metric=metric, values=values, **common)
        for split, metric, values in _quantities(result)
    ]


def observe_all(results: Iterable[tuple[str, EvaluateResult]]) -> list[Observation]:
    """(run id, result) of many runs, the newest first. Where several measured the same on the same data and splits,
    the newest counts. Those on generated data come last."""
    seen: set[tuple[object, ...]] = set()
    found = []
    for run, result in sorted(results, key=lambda pair: pair[1].synthetic):
        for one in observe(result, run):
            place = (one.method, one.backbone, one.task, one.protocol, one.setup, one.split, one.metric)
            key = (*place, one.measured.key)
            if key not in seen:
                seen.add(key)
                found.append(one)
    return found


def _quantities(
    result: EvaluateResult,
) -> Iterator[tuple[Literal["val", "test"] | None, str, tuple[float, ...]]]:
    chosen = [split.chosen for split in result.splits]
    yield "val", result.metric, tuple(point.val for point in chosen if point.val is not None)
    tests = tuple(point.test for point in chosen if point.test is not None)
    if tests:
        yield "test", result.metric, tests
    for metric in result.secondary:
        yield "val", metric, _secondary(chosen, "val_secondary", metric)
        if tests:
            yield "test", metric, _secondary(chosen, "test_secondary", metric)
    yield None, "base_lr", tuple(point.base_lr for point in chosen)
    yield None, "weight_decay", tuple(point.weight_decay for point in chosen)
    for name in ("s_lr", "s_wd"):
        spreads = tuple(getattr(split, name) for split in result.splits)
        if None not in spreads:  # early stopping and trainings that diverged leave them unknown
            yield None, name, spreads
    if result.batch is not None:
        yield None, "batch_size", (float(result.batch),)
    trainings = [point for split in result.splits for point in split.grid if point.finished]
    steps = [point.iteration_seconds for point in trainings if point.iteration_seconds is not None]
    totals = [point.seconds / 60 for point in trainings if point.seconds is not None]
    if steps and totals:
        yield None, "gpus", (float(result.gpus),)
        yield None, "seconds_per_iteration", (sum(steps) / len(steps),)
        yield None, "total_minutes", (sum(totals) / len(totals),)


def _secondary(points: list[GridPoint], where: str, metric: str) -> tuple[float, ...]:
    return tuple(getattr(point, where)[metric] for point in points)
