"""Specs as plain data: values by dotted path, and the differences between two specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


def with_values(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """A spec with some values changed, by dotted path; what is given stays as it is."""
    spec = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        node = spec
        for parent in parents:
            inner = node.get(parent) or {}
            if not isinstance(inner, dict):
                raise ValueError(f"{path}: {parent} is not a group of fields")
            node[parent] = dict(inner)
            node = node[parent]
        node[leaf] = value
    return spec


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
