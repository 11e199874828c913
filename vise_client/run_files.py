"""Specs and inputs as the command line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from vise_core.errors import BadInput
from vise_core.specs.recipes import InputRef


def read_spec(path: Path | None, changes: Sequence[str]) -> dict[str, Any]:
    """The spec of a YAML or JSON file, with ``a.b=value`` changes. Raises BadInput, naming file and line."""
    spec: Any = {}
    if path is not None:
        try:
            spec = yaml.safe_load(path.read_text()) or {}
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: not YAML or JSON: {error}") from error
    if not isinstance(spec, dict):
        raise BadInput(f"{path}: the spec must be a mapping of fields")
    for change in changes:
        dotted, separator, value = change.partition("=")
        if not separator:
            raise BadInput(f"--set {change!r}: write a.b=value")
        *parents, leaf = dotted.split(".")
        node = spec
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise BadInput(f"--set {change!r}: {parent} is not a group of fields")
        node[leaf] = yaml.safe_load(value)
    return spec


def parse_inputs(items: Sequence[str]) -> dict[str, InputRef]:
    """{role: reference} of ``role=RUN:artifact`` and ``role=dataset:ID``. Raises BadInput."""
    inputs = {}
    for item in items:
        role, _, value = item.partition("=")
        origin, _, name = value.partition(":")
        try:
            inputs[role] = (
                InputRef(dataset=UUID(name))
                if origin == "dataset"
                else InputRef(run=UUID(origin), artifact=name)
            )
        except ValueError as error:
            raise BadInput(f"--input {item!r}: write role=RUN:artifact or role=dataset:ID") from error
    return inputs
