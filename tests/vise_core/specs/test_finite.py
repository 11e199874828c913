"""NaN and infinity are no values of any spec or result: JSON has neither."""

import copy
import importlib
import math
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

import vise_core
from vise_core.specs.base import Record
from vise_core.specs.stages import STAGES, validate_spec


def records() -> list[type[Record]]:
    """Every record of the whole package."""
    for module in pkgutil.walk_packages(vise_core.__path__, "vise_core."):
        if module.name.startswith(("vise_core.specs", "vise_core.report", "vise_core.models")):
            importlib.import_module(module.name)
    found, todo = set(), [Record]
    while todo:
        one = todo.pop()
        found.add(one)
        todo += one.__subclasses__()
    return sorted(found, key=lambda each: each.__name__)


def test_every_record_rejects_them() -> None:
    assert len(records()) > 50
    assert [each.__name__ for each in records() if each.model_config.get("allow_inf_nan") is not False] == []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the floats of a spec are."""
    if isinstance(value, float):
        yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, (*path, name))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from leaves(part, (*path, number))


@pytest.mark.parametrize("stage", sorted(STAGES))
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_no_number_of_a_stage_may_be_one(stage: str, odd: float) -> None:
    spec = validate_spec(stage, {}).model_dump(mode="json")
    for *parents, name in leaves(spec):
        changed = copy.deepcopy(spec)
        place = changed
        for parent in parents:
            place = place[parent]
        place[name] = odd
        with pytest.raises(ValidationError):
            validate_spec(stage, changed)
