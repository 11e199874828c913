"""What is known of a model: the facts of its card. Its words are in ``vise_core.report.model_card``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base import Record
from ..tasks.metrics import format_metric


class LineageStep(Record):
    """A run or data set that a model was made from."""

    role: str = Field(description="What it was to the step after it: dataset, checkpoint, posts, labels.")
    kind: Literal["run", "data set"]
    id: str
    name: str
    stage: str = Field("", description="Of a run.")
    synthetic: bool = False
    depth: int = Field(description="1: what the evaluation read; 2: what that was made from, and so on.")


class CardMetric(Record):
    """A metric of a model over splits, on val and, if there is one, on test."""

    name: str
    val_mean: float
    val_std: float | None = None
    test_mean: float | None = None
    test_std: float | None = None

    @property
    def sentence(self) -> str:
        """The value on test, or on val without a test set; with ± over splits if there are several."""
        if self.test_mean is not None:
            return f"{format_metric(self.name, self.test_mean, self.test_std)} on test"
        return f"{format_metric(self.name, self.val_mean, self.val_std)} on val"


class ModelFacts(Record):
    """The facts that a model card states."""

    name: str
    method: str
    backbone: str
    parameters: int
    task: str
    classes: tuple[str, ...]
    protocol: str
    features: str
    metrics: tuple[CardMetric, ...]
    splits: int
    weights: str
    licence: str = Field("", description="Of published weights.")
    trained_on: str = Field("", description="Of published weights.")
    integrity: str = Field("", description="Worst verdict of the checks that ran with the evaluation.")
    synthetic: bool
    run: str
    created: str
    git_commit: str | None = None
    lineage: tuple[LineageStep, ...] = ()
