"""The stages by name. Each is described in its own file, ``specs/<stage>.py``.

To add a stage, write its spec file and add the module to the list below. Another package adds a stage by the entry point
``vise.stages``: API, workers, command line and pages know it in every environment in which the package is installed.
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
    """Add a stage to ``STAGES``. Raises ValueError if another has its name."""
    if stage.name in STAGES:
        raise ValueError(
            f"there are two stages {stage.name!r}: {STAGES[stage.name].runner} and {stage.runner}"
        )
    STAGES[stage.name] = stage


def validate_spec(stage: str, spec: dict[str, Any]) -> Spec:
    """Return the spec of a stage from plain data, with every default filled in.

    Raises pydantic.ValidationError, which names the field, for a value that is not valid, and KeyError for an unknown
    stage.
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
