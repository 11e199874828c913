"""Single measurements of our own evaluations, from which tables and figures pick."""

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
"""Tasks for which the paper names a setup; the others have images only."""

PAPER_NAMES = {
    name: next(other for other, plain in BACKBONES.items() if plain.title == entry.family)
    for name, entry in BACKBONES.items()
    if entry.family is not None
}
"""{backbone: backbone in whose rows the paper lists it}: CLIP's ResNet-50 is in the rows of ResNet-50."""

SAME_METRIC = {"top1": "accuracy"}
"""Table 2 calls CUB's top-1 accuracy "accuracy"; with one label an image they are the same."""


class Observation(Record):
    """A quantity that an evaluation measured, with one value a split."""

    method: str
    backbone: str
    task: str
    protocol: str
    setup: str | None = Field(description="Towers in use; None for a task without text.")
    split: Literal["val", "test"] | None = Field(description="None for a quantity that is no score.")
    metric: str
    values: tuple[float, ...] = Field(min_length=1)
    run: str = Field("", description="Id of the evaluation run.")
    synthetic: bool = False
    cached: bool = Field(False, description="Features computed once, without augmentation.")
    stopped: bool = Field(False, description="Early stopping ended points of the grid.")
    diverged: bool = Field(False, description="Points of the grid diverged, and were not chosen.")
    measured: MeasuredOn = Field(description="Data and splits; only equal ones may be compared.")
    pretrained_on: int | None = Field(None, description="Images seen in pretraining, where known.")

    def fits(self, facts: Facts) -> bool:
        """Return whether this observation has all of the facts; a fact that is None fits any."""
        values = {name: getattr(facts, name) for name in FACT_NAMES}
        return all(value is None or _same(name, value, getattr(self, name)) for name, value in values.items())


FACT_NAMES = ("task", "protocol", "setup", "split", "metric", "backbone", "method")


def _same(name: str, fact: str, ours: str | None) -> bool:
    if name == "metric":
        return SAME_METRIC.get(fact, fact) == SAME_METRIC.get(ours or "", ours)
    return fact == ours


def observe(result: EvaluateResult, run: str = "") -> list[Observation]:
    """Return all quantities of an evaluation that Tables 2–7 and 9–16 show, at the grid points chosen on val."""
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
    """Return the observations of ``results``: (run id, result), newest first.

    Of runs that measured the same quantity on the same data and splits, the newest counts. Results on synthetic data
    come last.
    """
    seen: set[tuple[object, ...]] = set()
    observations = []
    for run, result in sorted(results, key=lambda pair: pair[1].synthetic):
        for each in observe(result, run):
            key = (*(getattr(each, name) for name in FACT_NAMES), each.measured.key)
            if key not in seen:
                seen.add(key)
                observations.append(each)
    return observations


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
        if None not in spreads:  # unknown after early stopping or divergence
            yield None, name, spreads
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
