"""The stages by name. What each is and what is asked of it stands in its own file, ``specs/<stage>.py``.

Adding a stage here is its spec file and its module in the list below. A package outside adds one by the entry point
``vise.stages``: every process in whose environment it is installed (API, worker, command line, pages) knows the stage.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from . import (
    cluster,
    evaluate,
    explain,
    explore,
    fetch,
    import_weights,
    ingest,
    integrity,
    label,
    pretrain,
    qualitative,
    sample_tasks,
    survey,
)
from .base import Spec
from .stage import Stage

STAGES: dict[str, Stage[Any]] = {}
"""Every stage by name, in the order of the pipeline."""


def register(stage: Stage[Any]) -> None:
    """Add a stage. Raises ValueError where another has its name."""
    if stage.name in STAGES:
        raise ValueError(
            f"there are two stages {stage.name!r}: {STAGES[stage.name].runner} and {stage.runner}"
        )
    STAGES[stage.name] = stage


def validate_spec(stage: str, spec: dict[str, Any]) -> Spec:
    """The stage's spec from plain data, every default filled in.

    Raises pydantic.ValidationError, which names the field; KeyError for an unknown stage.
    """
    checked: Spec = STAGES[stage].spec.model_validate(spec)
    return checked


for _module in (
    ingest,
    fetch,
    survey,
    sample_tasks,
    cluster,
    label,
    explore,
    pretrain,
    import_weights,
    evaluate,
    integrity,
    explain,
    qualitative,
):
    register(_module.STAGE)
for _entry_point in entry_points(group="vise.stages"):
    register(_entry_point.load())
