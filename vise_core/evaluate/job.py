"""The input of both protocols, a Job, and their result, an Outcome for each split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vise_core.models.backbones import Backbone
from vise_core.models.checkpoint import resize_for
from vise_core.models.heads import linear_head
from vise_core.reporter import Reporter
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.results import GridPoint
from vise_core.specs.tasks.catalogue import secondary_metrics, task_metric
from vise_core.specs.tasks.metrics import Metric
from vise_core.tasks import LabelledImages, Split
from vise_core.training.state import SavedState

from .cache import FeaturesCache
from .grid import Setting, diverged_point
from .loading import Transform, eval_transform, train_transform
from .metrics import Scores, are_finite, measure
from .texts import Texts


@dataclass(frozen=True)
class Job:
    """An evaluation whose inputs are read and checked.

    Attributes
    ----------
    backbone: the backbone to evaluate; None where no image is read.
    texts: the texts and their tower; None where no text is read.
    image_size: side of the crop.
    cache: the features cache; None: features are not cached.
    digests: SHA-256 of each image's file, in the task's order.
    """

    spec: EvaluateSpec
    images: LabelledImages
    splits: list[Split]
    backbone: Backbone | None
    texts: Texts | None
    image_size: int
    device: torch.device
    workspace: Path
    reporter: Reporter
    state: SavedState
    cache: FeaturesCache | None
    digests: Sequence[bytes]

    def new_head(self, split: int) -> nn.Linear:
        """Return a new head on the concatenated features of all towers, the same for every grid point of a split."""
        image = 0 if self.backbone is None else self.backbone.feature_dim
        text = 0 if self.texts is None else self.texts.encoder.dim
        return linear_head(
            image + text,
            len(self.images.classes),
            self.spec.bias_prior,
            seed=(self.spec.seed * 1009 + split) % 2**31,
        )

    def eval_transform(self, backbone: Backbone) -> Transform:
        """Return the evaluation crop, with the backbone's resize, mean and std."""
        resize = resize_for(backbone, self.image_size)
        return eval_transform(self.image_size, resize, backbone.mean, backbone.std)

    def train_transform(self, backbone: Backbone, epoch: int) -> Transform:
        """Return the random crops of an epoch, with the backbone's mean and std."""
        return train_transform(self.image_size, backbone.mean, backbone.std, self.spec.seed, epoch)

    def between(self, total: int, unit: str, phase: str) -> Callable[[int], None]:
        """Return a function to call between batches, which reports progress and raises Stopped where requested."""

        def report(done: int) -> None:
            self.reporter.progress(done, total, unit, phase=phase)
            self.state.raise_if_stopped()

        return report

    def embed_texts(self, path: Path) -> None:
        """Write the (n, dim) float32 embeddings of all texts as ``.npy``; do nothing without texts."""
        if self.texts is not None:
            between = self.between(len(self.images), "texts", "texts")
            self.texts.embed(path, self.device, between)

    def reported(self, split: int) -> npt.NDArray[np.int64]:
        """Return the (n,) indices of the images whose predictions are kept: test, or val where there is no test."""
        return self.splits[split].test if len(self.splits[split].test) else self.splits[split].val

    @property
    def metric(self) -> Metric:
        """Name of the metric that chooses the grid point on val."""
        return task_metric(self.spec.task)

    @property
    def curve_metrics(self) -> tuple[str, ...]:
        """Names of the metrics of the curves: the task's metric, and accuracy where the task reports it too."""
        accuracy = ("accuracy",) if "accuracy" in secondary_metrics(self.spec.task) else ()
        return (self.metric, *accuracy)

    def point(self, split: int, setting: Setting, epoch: int, val: Scores, test: Scores | None) -> GridPoint:
        """Return the grid point of (n, classes) logits on val, and on test unless None, after ``epoch`` epochs.

        Where any logit is not finite the network diverged, and the point has no metrics.
        """
        if not are_finite(val) or (test is not None and not are_finite(test)):
            return diverged_point(setting, epoch)
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
    """Result of one split.

    Attributes
    ----------
    points: the results of all grid points, in the grid's order.
    scores: (n, classes) float32, the chosen point's probabilities for the images of ``Job.reported``.
    """

    points: list[GridPoint]
    scores: npt.NDArray[np.float32]
