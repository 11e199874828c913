"""The artifact ``predictions`` of the stage evaluate: predictions on the reported images of a task.

One Parquet file with a row for each image of each split, scored at the split's chosen grid point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vise_core.errors import BadInput

FORMAT = "vise-predictions-1"
SCORE = "score_"
"""Prefix of the columns of scores, one for each class."""

_KEY = b"format"
_REMEDY = "evaluate again"


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """Predictions on the n reported images of one split.

    Attributes
    ----------
    split: number of the split.
    part: ``test``, or ``val`` where the split has no test images.
    paths: n paths below the task's folder.
    labels: n names of classes.
    scores: (n, n_classes) float32, probabilities.
    """

    split: int
    part: Literal["test", "val"]
    paths: Sequence[str]
    labels: Sequence[str]
    scores: npt.NDArray[np.float32]


def predictions_schema(classes: Sequence[str]) -> pa.Schema:
    """Return the schema of the Parquet file.

    Columns are ``split``, ``part``, ``path``, ``label``, ``predicted`` and ``score_<class>`` for each class.
    """
    return pa.schema(
        [
            ("split", pa.int32()),
            ("part", pa.string()),
            ("path", pa.string()),
            ("label", pa.string()),
            ("predicted", pa.string()),
            *((f"{SCORE}{name}", pa.float32()) for name in classes),
        ],
        metadata={_KEY: FORMAT.encode()},
    )


def write_predictions(path: Path, classes: Sequence[str], splits: Iterable[SplitPredictions]) -> None:
    """Write the predictions of all splits, holding one split in memory at a time."""
    schema = predictions_schema(classes)
    with pq.ParquetWriter(path, schema) as writer:
        for predictions in splits:
            rows = len(predictions.paths)
            columns = [
                pa.array(np.full(rows, predictions.split, np.int32)),
                pa.array([predictions.part] * rows, pa.string()),
                pa.array(list(predictions.paths), pa.string()),
                pa.array(list(predictions.labels), pa.string()),
                pa.array([classes[best] for best in predictions.scores.argmax(1)], pa.string()),
                *(pa.array(column, pa.float32()) for column in predictions.scores.T),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def read_predictions(path: Path) -> pa.Table:
    """Read the predictions of all splits, with the columns of ``predictions_schema``.

    Raises BadInput, which names the file, if it is missing, damaged or of another format.
    """
    try:
        table = pq.ParquetFile(path).read()
    except FileNotFoundError as error:
        raise BadInput(f"{path}: missing; copy it again, or {_REMEDY}") from error
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path}: not a Parquet file ({error}): {_REMEDY}") from error
    version = (table.schema.metadata or {}).get(_KEY, b"").decode(errors="replace")
    if version != FORMAT:
        raise BadInput(f"{path}: format is {version!r}, expected {FORMAT!r}: {_REMEDY}")
    classes = [name.removeprefix(SCORE) for name in table.column_names if name.startswith(SCORE)]
    if not table.schema.equals(predictions_schema(classes)):
        raise BadInput(f"{path}: its columns are not those of predictions: {_REMEDY}")
    return table
