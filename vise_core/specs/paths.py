"""Specs as plain data: values by dotted path, and the differences between two specs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple


def with_values(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a spec with some values changed, by dotted path.

    Raises ValueError if a path leads through a value that is no group of fields.
    """
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


def value_at(spec: Any, path: str) -> Any:
    """Return the value at a dotted path. Raises KeyError if the spec has none."""
    for part in path.split("."):
        if not isinstance(spec, Mapping):
            raise KeyError(path)
        spec = spec[part]
    return spec


def without(spec: Mapping[str, Any], paths: Collection[str]) -> dict[str, Any]:
    """Return a copy of the spec without the fields at these dotted paths; a path that it does not have is skipped."""
    kept = {name: value for name, value in spec.items() if name not in paths}
    for name, value in kept.items():
        below = [path.removeprefix(f"{name}.") for path in paths if path.startswith(f"{name}.")]
        if below and isinstance(value, Mapping):
            kept[name] = without(value, below)
    return kept


class Difference(NamedTuple):
    """A field whose value differs between two specs; None stands for a missing field."""

    path: str
    base: Any
    value: Any


def flatten(spec: Any, path: str = "") -> dict[str, Any]:
    """Return {dotted path: value} of every leaf; a list is a leaf."""
    if isinstance(spec, Mapping):
        return {
            inner: leaf
            for name, item in spec.items()
            for inner, leaf in flatten(item, f"{path}.{name}" if path else str(name)).items()
        }
    return {path: spec}


def difference(base: Mapping[str, Any], spec: Mapping[str, Any]) -> list[Difference]:
    """Return the fields of ``spec`` that differ from ``base``, in the order of ``base``."""
    old, new = flatten(base), flatten(spec)
    paths = list(dict.fromkeys((*old, *new)))
    return [Difference(p, old.get(p), new.get(p)) for p in paths if old.get(p) != new.get(p)]


def differing(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths at which the values of these flat specs are not all equal."""
    paths = dict.fromkeys(path for spec in specs for path in spec)
    return [path for path in paths if any(spec.get(path) != specs[0].get(path) for spec in specs[1:])]
