"""The artifacts of an evaluation: result, predictions, predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vise_core.errors import BadInput, Diverged
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.specs.evaluate import EvaluateResult

from .job import Job, Outcome

MAX_HELD_OUT = 10_000


def write_predictions(job: Job, outcomes: list[Outcome], path: Path) -> None:
    """Write one row for every reported image of every split, with the scores of the split's chosen point.

    Columns: split int32, part ("test", or "val" where there is no test), path, label, predicted, and for each
    class ``score_<class>`` float32, its probability.
    """
    classes = job.images.classes
    writer: pq.ParquetWriter | None = None
    for split, outcome in enumerate(outcomes):
        indices = job.reported(split)
        if not np.isfinite(outcome.scores).all():
            raise Diverged(f"split {split}: the chosen point's scores are not finite, so it predicts nothing")
        columns: dict[str, Any] = {
            "split": pa.array(np.full(len(indices), split, np.int32)),
            "part": ["test" if len(job.splits[split].test) else "val"] * len(indices),
            "path": [job.images.relative_path(i) for i in indices],
            "label": [classes[label] for label in job.images.labels[indices]],
            "predicted": [classes[best] for best in outcome.scores.argmax(1)],
        }
        columns |= {f"score_{name}": outcome.scores[:, j] for j, name in enumerate(classes)}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is None:
        raise BadInput("no split was evaluated")
    writer.close()


def held_out(job: Job) -> list[str]:
    """Return the paths of images that split 0's classifier was neither trained nor chosen on: its test images.

    At most ``MAX_HELD_OUT``: enough for explanations and checks.
    """
    return [job.images.relative_path(i) for i in np.sort(job.splits[0].test)[:MAX_HELD_OUT]]


def publish(
    job: Job, result: EvaluateResult, outcomes: list[Outcome], classifier: ImageClassifier | None
) -> None:
    """Write the artifacts below the workspace and publish them; a predictor unless ``classifier`` is None."""
    result_path = job.workspace / "result.json"
    result_path.write_text(result.model_dump_json(indent=1) + "\n")
    job.reporter.artifact("result", result_path)
    predictions = job.workspace / "predictions.parquet"
    write_predictions(job, outcomes, predictions)
    job.reporter.artifact("predictions", predictions)
    if classifier is None:
        job.reporter.log("no predictor: predictors read an image alone, and this model reads texts too")
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
