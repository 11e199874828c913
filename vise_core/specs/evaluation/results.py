"""Parts of an evaluation's result."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..base import Record


class GridPoint(Record):
    """A training of the grid on one split: its hyper-parameters, epochs and metrics."""

    base_lr: float
    weight_decay: float
    val: float | None = Field(
        description="The task's metric on val, which chooses; in percent for accuracies. None where training diverged."
    )
    test: float | None = Field(description="The task's metric on test, in percent for accuracies.")
    val_secondary: dict[str, float] = Field(
        default_factory=dict, description="Further metrics on val, by name; they choose nothing."
    )
    test_secondary: dict[str, float] = Field(default_factory=dict, description="Further metrics on test.")
    stopped_at_epoch: int | None = Field(
        None,
        description="Finished epochs after which early stopping ended it; val is what it had then, test is unknown.",
    )
    diverged_at_epoch: int | None = Field(
        None,
        description="Finished epochs after which the loss, or a logit, was found not finite. Training ended there; the "
        "point has no value on val or test and is never chosen.",
    )
    seconds: float | None = Field(
        None,
        description="Wall time of this training, validation included; None where many are trained at once.",
    )
    iteration_seconds: float | None = Field(
        None, description="Mean wall time of one training step, reading the images included."
    )

    @property
    def diverged(self) -> bool:
        """Whether the training had a loss, metric or weight that was not finite."""
        return self.val is None

    @property
    def finished(self) -> bool:
        """Whether training reached its last epoch with finite numbers; only such a point can be chosen."""
        return self.val is not None and self.stopped_at_epoch is None


GridParameter = Literal["base_lr", "weight_decay"]


GridEnd = Literal["lowest", "highest"]


class SplitResult(Record):
    """The result on one split: every grid point, and the one that val chose."""

    split: int
    chosen: GridPoint
    grid: tuple[GridPoint, ...]
    s_lr: float | None = Field(
        description="Std (ddof 0) of val over learning rates at the best weight decay (App. C.3). None where one of "
        "these trainings diverged or early stopping ended it."
    )
    s_wd: float | None = Field(
        description="Std (ddof 0) of val over weight decays at the best learning rate. None as above."
    )
    sizes: tuple[int, int, int] = Field(description="Images in train, val, test.")
    edges: dict[GridParameter, GridEnd] = Field(
        default_factory=dict,
        description="Where the chosen value is the lowest or the highest of a grid of two values or more: a value "
        "beyond it may be better.",
    )
    parts: tuple[str, str, str] = Field(
        description="Identity of train, val and test: SHA-256 of the sorted SHA-256 of the image files; empty for a "
        "part without images."
    )


class EvaluationData(Record):
    """The data and splits that a result was measured on. Results are compared only where all digests are equal.

    An image is its file's content: other file names, folders or orders make no difference, and files that the task
    does not read do not count.
    """

    images: int = Field(description="Labelled images.")
    images_digest: str = Field(description="SHA-256 of the sorted SHA-256 of the image files.")
    labels_digest: str = Field(
        description="SHA-256 of the class names in order and of the sorted pairs of image and class."
    )
    texts_digest: str = Field(
        "", description="SHA-256 of the sorted pairs of image and text; empty where no text was read."
    )
    splits_digest: str = Field(description="SHA-256 of the parts of all splits, in order.")


class Secondary(Record):
    """A metric that is reported beside the task's own, at the points that the task's own chose."""

    val_mean: float
    val_std: float | None = Field(description="Sample std (ddof 1) over splits; None for a single split.")
    test_mean: float | None
    test_std: float | None


class TextTower(Record):
    """The text encoder of an evaluation. A sentence's vector is the mean over its tokens (ours)."""

    encoder: str = Field(description="Architecture and size, such as roberta, 124.1M parameters.")
    dim: int = Field(description="Length of a sentence's vector.")
    sha256: str = Field(description="Identity of the files that it was loaded from.")
    limit: int = Field(description="Most tokens of a text; the rest is cut off.")
    at_limit: int = Field(description="Texts of so many tokens or more.")
