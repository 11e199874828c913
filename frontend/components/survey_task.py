"""The task that a data set's survey proposes: with it, the launch page fills the form of an evaluation."""

from __future__ import annotations

import json
from typing import Any

from vise_client.schemas.datasets import DatasetView


def proposed_task(data_set: DatasetView) -> dict[str, Any] | None:
    """Return the task that a survey proposes, without default values; None if it proposes none."""
    if data_set.survey is None or data_set.survey.task is None:
        return None
    task = data_set.survey.task
    return {"kind": task.kind} | task.model_dump(mode="json", exclude_defaults=True)


def task_query(data_set: DatasetView) -> dict[str, str]:
    """Return the parameters with which a link to the launch page passes the task on."""
    task = proposed_task(data_set)
    return {} if task is None else {"spec": json.dumps({"task": task}, separators=(",", ":"))}
