"""Specs, requests and inputs from files and command-line options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from vise_client.schemas.launch import RecipeCreate, RunCreate, SweepCreate
from vise_core.errors import BadInput
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.recipes.recipe import RecipeSpec
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.recipes.sweep import SweepSpec

FILES = (".yaml", ".yml", ".json")


def read_request(
    name: str, spec: Path | None, changes: Sequence[str]
) -> RunCreate | RecipeCreate | SweepCreate:
    """Return the request for ``name``, which is a stage, a recipe or a file.

    A file holds a recipe (``steps``), a sweep (``stage`` with ``grid`` or ``cases``) or one run (``stage``, ``spec``,
    ``inputs``, ``name``, ``tags``). Raises BadInput for a file that cannot be read or holds none of these, and
    pydantic.ValidationError, which names the field, for a value that is not valid.
    """
    file = Path(name).suffix.lower() in FILES
    if file and spec is not None:
        raise BadInput(f"{name} is a file that holds the spec: leave out --spec")
    values = read_spec(Path(name) if file else spec, changes)
    if "steps" in values:
        return RecipeCreate(spec=RecipeSpec.model_validate(values))
    if "grid" in values or "cases" in values:
        return SweepCreate(spec=SweepSpec.model_validate(values))
    if file and "stage" not in values:
        raise BadInput(f"{name}: no recipe (steps), no sweep (grid or cases), no single run (stage)")
    if file:
        return RunCreate.model_validate(values)
    if name in RECIPES:
        if values:
            raise BadInput(
                f"{name} is a recipe: to change it, write it to a file (vise recipes show {name} > FILE.yaml), edit "
                "that and run it (vise run FILE.yaml)"
            )
        return RecipeCreate(recipe=name)
    return RunCreate(stage=name, spec=values)


def read_spec(path: Path | None, changes: Sequence[str]) -> dict[str, Any]:
    """Return the spec of a YAML or JSON file with ``a.b=value`` changes.

    Raises BadInput, which names file and line, for a file that cannot be read or holds no fields, and for a change of
    another form.
    """
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


def parse_inputs(
    items: Sequence[str], dataset_named: Callable[[str], UUID] | None = None
) -> dict[str, InputRef]:
    """Return {role: reference} of ``role=RUN``, ``role=RUN:artifact``, ``role=dataset:ID`` and ``role=dataset:NAME``.

    ``dataset_named`` returns the id of a data set with this name. Raises BadInput for an item of another form.
    """
    inputs = {}
    for item in items:
        role, _, value = item.partition("=")
        origin, _, name = value.partition(":")
        try:
            if origin == "dataset":
                known = dataset_named is None or _is_uuid(name)
                inputs[role] = InputRef(dataset=UUID(name) if known else dataset_named(name))  # type: ignore[misc]
            else:
                inputs[role] = InputRef(run=UUID(origin), artifact=name or None)
        except ValueError as error:
            raise BadInput(
                f"--input {item!r}: write role=RUN, role=RUN:artifact, role=dataset:ID or role=dataset:NAME"
            ) from error
    return inputs


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def local_inputs(items: Mapping[str, str]) -> dict[str, Path]:
    """Return {role: path} for a run without a server. Raises BadInput for a reference that only a server can resolve."""
    for role, text in items.items():
        if not Path(text).exists() and (text.startswith("dataset:") or _is_uuid(text.partition(":")[0])):
            raise BadInput(
                f"--input {role}={text}: data sets and runs need a server; with --local give the path of a folder or file"
            )
    return {role: Path(text) for role, text in items.items()}


def recipe_yaml(recipe: RecipeSpec) -> str:
    """Return the recipe as YAML that ``read_request`` reads back."""
    values = recipe.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
