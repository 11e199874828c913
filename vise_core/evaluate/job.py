"""What both protocols start from and what they hand back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vise_core.models.backbones import Backbone
from vise_core.models.classifier import ImageClassifier
from vise_core.models.heads import linear_head
from vise_core.reporter import Reporter
from vise_core.specs.evaluate import EvaluateSpec, GridPoint
from vise_core.specs.tasks import Metric, secondary_metrics, task_metric
from vise_core.tasks import LabelledImages, Split

from .grid import Setting
from .metrics import Scores, measure
from .state import State


@dataclass(frozen=True)
class Job:
    """An evaluation with everything read and checked. ``backbone`` holds the weights to be judged."""

    spec: EvaluateSpec
    images: LabelledImages
    splits: list[Split]
    backbone: Backbone
    image_size: int
    device: torch.device
    workspace: Path
    reporter: Reporter
    state: State

    def new_classifier(self, backbone: Backbone, split: int) -> ImageClassifier:
        """The backbone under a fresh head, the same for every grid point of a split."""
        head = linear_head(
            backbone.feature_dim,
            len(self.images.classes),
            self.spec.bias_prior,
            seed=(self.spec.seed * 1009 + split) % 2**31,
        )
        return ImageClassifier(backbone, head, self.images.classes, image_size=self.image_size)

    def reported(self, split: int) -> npt.NDArray[np.int64]:
        """The images whose predictions are kept: test, or val where there is no test."""
        return self.splits[split].test if len(self.splits[split].test) else self.splits[split].val

    @property
    def metric(self) -> Metric:
        """What chooses on val."""
        return task_metric(self.spec.task)

    @property
    def curve_metrics(self) -> tuple[str, ...]:
        """Metrics that are followed over the epochs: the one that chooses, and accuracy where that is another."""
        accuracy = ("accuracy",) if "accuracy" in secondary_metrics(self.spec.task) else ()
        return (self.metric, *accuracy)

    def point(self, split: int, setting: Setting, val: Scores, test: Scores | None) -> GridPoint:
        """What the logits (n, classes) of a finished training are worth on val, and on test where there is one."""
        names, parts, labels = secondary_metrics(self.spec.task), self.splits[split], self.images.labels
        on_val = measure((self.metric, *names), val, labels[parts.val])
        on_test = {} if test is None else measure((self.metric, *names), test, labels[parts.test])
        return GridPoint(
            base_lr=setting.base_lr,
            weight_decay=setting.weight_decay,
            val=on_val.pop(self.metric),
            test=on_test.pop(self.metric, None),
            val_secondary=on_val,
            test_secondary=on_test,
        )


@dataclass(frozen=True)
class Outcome:
    """One split, judged.

    Attributes
    ----------
    points: one for each of the grid, in its order.
    scores: (n, classes) float32, probabilities of the chosen point for the ``reported`` images.
    """

    points: list[GridPoint]
    scores: npt.NDArray[np.float32]
