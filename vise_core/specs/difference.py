"""How far a spec is from the presets of its stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .paths import difference
from .presets import PRESETS
from .stages import validate_spec

REPLICATES = ("seed", "splits")
"""Fields that make a run a repetition of another, not another experiment."""


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
