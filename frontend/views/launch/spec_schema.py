"""Reading a spec's JSON schema: defaults, labels, alternatives, the fields that a sweep can vary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

Schema = dict[str, Any]


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a $ref; the keywords beside it (description, default) stay."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        return {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def options(field: Schema, root: Schema) -> list[Schema]:
    """Return the alternatives of a field without null; the field itself where it has none."""
    alternatives = [resolve(option, root) for option in field.get("anyOf") or field.get("oneOf") or []]
    return [option for option in alternatives if option.get("type") != "null"] or [field]


def may_be_null(field: Schema) -> bool:
    """Return True if the field may be null."""
    return any(option.get("type") == "null" for option in field.get("anyOf", []))


def is_group(field: Schema, root: Schema) -> bool:
    """Return True if the field is an object with fields of its own; a table with free keys is no group."""
    return any(option.get("type") == "object" and not is_table(option) for option in options(field, root))


def is_table(option: Schema) -> bool:
    """Return True if the option is an object with free keys, such as a map of names."""
    return option.get("type") == "object" and "properties" not in option


def default_of(schema: Schema, root: Schema) -> Any:
    """Return the default value of a field."""
    schema = resolve(schema, root)
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object":
        return {name: default_of(field, root) for name, field in schema.get("properties", {}).items()}
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return default_of(schema[several][0], root)
    return None


def title(name: str) -> str:
    """Return a field's name as a label: base_lrs → Base lrs."""
    return name.replace("_", " ").capitalize()


def merged(default: Any, value: Any) -> Any:
    """Fill the fields that the value leaves out from the default; a value of another kind stays as it is."""
    if not (isinstance(default, dict) and isinstance(value, dict)):
        return value
    if value.get("kind", default.get("kind")) != default.get("kind"):
        return value
    return {
        **default,
        **{name: merged(default.get(name), item) for name, item in value.items()},
    }


def without_defaults(value: Any, default: Any) -> Any:
    """Return the fields that differ from the defaults: the shortest equivalent spec."""
    if not (isinstance(value, dict) and isinstance(default, dict)):
        return value
    if value.get("kind") != default.get("kind"):
        return value
    changed = {
        name: without_defaults(item, default.get(name))
        for name, item in value.items()
        if name not in default or item != default[name]
    }
    # The kind of a union determines its fields.
    return {"kind": value["kind"], **changed} if changed and "kind" in value else changed


def scalar_paths(schema: Schema, root: Schema, values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of the fields that hold one value, which a sweep can vary.

    Of unions, only the fields of the kind in ``values``.
    """
    for name, raw in schema.get("properties", {}).items():
        field = resolve(raw, root)
        value = values.get(name)
        if is_group(field, root):
            if isinstance(value, dict):
                yield from scalar_paths(matching(field, root, value), root, value, f"{prefix}{name}.")
        elif name != "kind" and "const" not in field and _holds_one_value(options(field, root)[0]):
            yield prefix + name


def _holds_one_value(option: Schema) -> bool:
    return option.get("type") not in ("array", "object")


def completed(
    spec: dict[str, Any], values: dict[str, Any], schema: Schema, root: Schema, swept: Iterable[str] = ()
) -> dict[str, Any]:
    """Add what a spec cannot be validated without: the kinds of unions, and fields that have no default.

    ``swept``: paths that a sweep fills; the groups that contain them are added.
    """
    whole = dict(spec)
    for path in swept:
        group, _, _ = path.partition(".")
        if "." in path:
            whole.setdefault(group, {})
    for name in schema.get("required", ()):
        whole.setdefault(name, values.get(name))
    for name, inner in whole.items():
        value = values.get(name)
        if isinstance(inner, dict) and isinstance(value, dict):
            group_schema = matching(resolve(schema["properties"][name], root), root, value)
            below = [path.partition(".")[2] for path in swept if path.startswith(f"{name}.")]
            kind = {"kind": value["kind"]} if "kind" in value else {}
            whole[name] = {**kind, **completed(inner, value, group_schema, root, below)}
    return whole


def matching(field: Schema, root: Schema, value: dict[str, Any] | None) -> Schema:
    """Return the alternative of a union that has the value's kind; the first where the value has none."""
    alternatives = options(field, root)
    kind = (value or {}).get("kind")
    return next(
        (a for a in alternatives if a.get("properties", {}).get("kind", {}).get("const") == kind),
        alternatives[0],
    )


def parsed(text: str) -> Any:
    """Return the value of a typed text: a number, true, false, null, or the text itself."""
    try:
        return json.loads(text.strip())
    except ValueError:
        pass
    try:
        return float(text)  # .5 and 1e-4, which are not JSON
    except ValueError:
        return text.strip()


def parsed_table(text: str) -> dict[str, Any]:
    """Return the table of a text: {"sad": "sorry", "care": None} of "sad: sorry, care:".

    An entry without a value is None.
    """
    entries = (part.partition(":") for part in text.split(",") if part.strip())
    return {name.strip(): parsed(value) if value.strip() else None for name, _, value in entries}


def written_table(value: dict[str, Any] | None) -> str:
    """Return a table as text, which ``parsed_table`` reads."""
    return ", ".join(f"{name}: {written(item)}".rstrip() for name, item in (value or {}).items())


def written(value: Any) -> str:
    """Return a value as text, which ``parsed`` reads."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
