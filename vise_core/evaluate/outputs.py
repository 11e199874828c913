"""The artifacts of an evaluation: result, predictions, predictor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vise_core.errors import Diverged
from vise_core.formats.predictions import SplitPredictions, write_predictions
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.specs.evaluate import EvaluateResult

from .job import Job, Outcome

MAX_HELD_OUT = 10_000
"""Most held-out images that a predictor lists: enough for explanations and checks."""


def split_predictions(job: Job, outcomes: list[Outcome]) -> Iterator[SplitPredictions]:
    """Yield each split's reported images with the chosen point's scores. Raises Diverged where one is not finite."""
    classes = job.images.classes
    for split, outcome in enumerate(outcomes):
        indices = job.reported(split)
        if not np.isfinite(outcome.scores).all():
            raise Diverged(f"split {split}: the chosen point's scores are not finite, so it predicts nothing")
        yield SplitPredictions(
            split,
            "test" if len(job.splits[split].test) else "val",
            [job.images.relative_path(i) for i in indices],
            [classes[label] for label in job.images.labels[indices]],
            outcome.scores,
        )


def held_out(job: Job) -> list[str]:
    """Return the paths of split 0's test images, on which its classifier was neither trained nor chosen.

    At most ``MAX_HELD_OUT``.
    """
    return [job.images.relative_path(i) for i in np.sort(job.splits[0].test)[:MAX_HELD_OUT]]


def publish(
    job: Job, result: EvaluateResult, outcomes: list[Outcome], classifier: ImageClassifier | None
) -> None:
    """Write the artifacts into the workspace and publish them; no predictor where ``classifier`` is None."""
    result_path = job.workspace / "result.json"
    result_path.write_text(result.model_dump_json(indent=1) + "\n")
    job.reporter.artifact("result", result_path)
    predictions = job.workspace / "predictions.parquet"
    write_predictions(predictions, job.images.classes, split_predictions(job, outcomes))
    job.reporter.artifact("predictions", predictions)
    if classifier is None:
        job.reporter.log("no predictor is made: a predictor reads images alone, and this model reads texts")
        return
    folder, chosen = job.workspace / "predictor", result.splits[0].chosen
    save_classifier(
        folder,
        classifier,
        {
            "method": result.method,
            "task": result.task,
            "synthetic": result.synthetic,
            "protocol": result.protocol,
            "features": result.features,
            "weights": result.weights,
            "split": 0,
            "held_out": held_out(job),
            "chosen": chosen.model_dump(),
            "metric": result.metric,
            "val_mean": result.val_mean,
            "test_mean": result.test_mean,
            "test_std": result.test_std,
            "secondary": {name: other.model_dump() for name, other in result.secondary.items()},
        },
    )
    job.reporter.artifact("predictor", folder)
