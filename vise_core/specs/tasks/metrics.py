"""Metrics of the downstream tasks, and how their values are written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base import Record

Metric = Literal["accuracy", "top1", "roc_auc"]
"""What a task is judged by, and its hyper-parameters are chosen by on val."""


class MetricEntry(Record):
    """How a metric is written: title, unit and digits."""

    title: str
    percent: bool = Field(
        description="In percent with two digits; else in [0, 1] with four, as the paper prints it."
    )

    @property
    def digits(self) -> int:
        """Digits after the decimal point."""
        return 2 if self.percent else 4


METRICS: dict[str, MetricEntry] = {
    "accuracy": MetricEntry(title="accuracy", percent=True),
    "top1": MetricEntry(title="top-1 accuracy", percent=True),
    "top5": MetricEntry(title="top-5 accuracy", percent=True),
    "roc_auc": MetricEntry(title="macro ROC AUC", percent=False),
}
"""Every number that an evaluation may report, by name."""


def format_metric(metric: str, mean: float, std: float | None = None) -> str:
    """Return a value with its metric's name, digits and unit, such as ``accuracy 71.25 ± 2.00 %``."""
    entry = METRICS[metric]
    spread = "" if std is None else f" ± {std:.{entry.digits}f}"
    return f"{entry.title} {mean:.{entry.digits}f}{spread}{' %' if entry.percent else ''}"
