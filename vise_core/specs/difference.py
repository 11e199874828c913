"""What differs between specs: plain data in, dotted paths out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .presets import PRESETS
from .stages import validate_spec

REPLICATES = ("seed", "splits")
"""Fields that make a run a repetition of another, not another experiment."""


class Difference(NamedTuple):
    """A field with another value than in the spec it is compared with; None where one of the two lacks it."""

    path: str
    base: Any
    value: Any


def flatten(spec: Any, path: str = "") -> dict[str, Any]:
    """{dotted path: value} of every leaf; a list is a leaf."""
    if isinstance(spec, Mapping):
        return {
            inner: leaf
            for name, item in spec.items()
            for inner, leaf in flatten(item, f"{path}.{name}" if path else str(name)).items()
        }
    return {path: spec}


def difference(base: Mapping[str, Any], spec: Mapping[str, Any]) -> list[Difference]:
    """The fields in which ``spec`` is not ``base``, in the order of ``base``."""
    old, new = flatten(base), flatten(spec)
    paths = list(dict.fromkeys((*old, *new)))
    return [Difference(p, old.get(p), new.get(p)) for p in paths if old.get(p) != new.get(p)]


def differing(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The paths at which not all of these flat specs hold the same."""
    paths = dict.fromkeys(path for spec in specs for path in spec)
    return [path for path in paths if any(spec.get(path) != specs[0].get(path) for spec in specs[1:])]


def without_replicates(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A flat spec without seed and splits: equal for runs that repeat each other."""
    return {path: value for path, value in flat.items() if path.split(".")[0] not in REPLICATES}


def preset_specs(stage: str) -> dict[str, dict[str, Any]]:
    """{name: whole spec} of the stage's defaults, where they are valid by themselves, and of each preset."""
    named = {"Defaults": {}, **PRESETS.get(stage, {})}
    return {name: validate_spec(stage, values).model_dump(mode="json") for name, values in named.items()}


def nearest_preset(stage: str, spec: Mapping[str, Any]) -> str:
    """The name of the preset, or Defaults, that the spec has the fewest differences from."""
    specs = preset_specs(stage)
    return min(specs, key=lambda name: len(difference(specs[name], spec)))
