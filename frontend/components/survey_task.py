"""How an evaluation reads a data set, as its survey found it: what the launch page starts with."""

from __future__ import annotations

import json
from typing import Any

from vise_client.schemas.datasets import DatasetView


def proposed_task(one: DatasetView) -> dict[str, Any] | None:
    """The task of the survey, without its defaults; None where there was none to see."""
    if one.found is None or one.found.task is None:
        return None
    return {"kind": one.found.task.kind} | one.found.task.model_dump(mode="json", exclude_defaults=True)


def task_in_address(one: DatasetView) -> dict[str, str]:
    """What a link to the launch page says of the task."""
    task = proposed_task(one)
    return {} if task is None else {"spec": json.dumps({"task": task}, separators=(",", ":"))}
