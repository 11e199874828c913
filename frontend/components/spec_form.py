"""A form out of a spec's JSON schema: one widget a field, nested groups, unions, options that may be left out.

Nothing about any one stage stands here: names, defaults, limits and help come from the schema alone.
"""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

Schema = dict[str, Any]


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a $ref; the fields beside it (description, default) stay."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        return {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


def default_of(schema: Schema, root: Schema) -> Any:
    """The value that a field has when nobody touches it."""
    schema = resolve(schema, root)
    if "default" in schema:
        return schema["default"]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object":
        return {name: default_of(field, root) for name, field in schema.get("properties", {}).items()}
    for options in ("oneOf", "anyOf"):
        if options in schema:
            return default_of(schema[options][0], root)
    return None


def title(name: str) -> str:
    """A field's name as a label: base_lrs → Base lrs."""
    return name.replace("_", " ").capitalize()


def without_defaults(value: Any, default: Any) -> Any:
    """What differs from the defaults: the shortest spec that means the same."""
    if isinstance(value, dict) and isinstance(default, dict):
        changed = {}
        for name, item in value.items():
            if name == "kind" or item != default.get(name):
                changed[name] = without_defaults(item, default.get(name))
        return changed if any(k != "kind" for k in changed) or value != default else {}
    return value


def spec_form(schema: Schema, values: dict[str, Any], key: str) -> dict[str, Any]:
    """Draw the form with these values; returns what it holds now."""
    return _group(schema, schema, values, key)


def _group(schema: Schema, root: Schema, values: dict[str, Any], key: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    simple: list[str] = []
    nested: list[str] = []
    for name, field in schema.get("properties", {}).items():
        (nested if _is_group(resolve(field, root), root) else simple).append(name)
    columns = st.columns(2) if len(simple) > 1 else [st.container()]
    for position, name in enumerate(simple):
        with columns[position % len(columns)]:
            field = resolve(schema["properties"][name], root)
            value = values.get(name, default_of(field, root))
            result[name] = _field(name, field, root, value, f"{key}.{name}")
    for name in nested:
        field = resolve(schema["properties"][name], root)
        value = values.get(name, default_of(field, root))
        with st.expander(title(name), expanded=False):
            if "description" in field:
                st.caption(field["description"])
            result[name] = _nested(name, field, root, value, f"{key}.{name}")
    return {name: result[name] for name in schema.get("properties", {})}


def _is_group(field: Schema, root: Schema) -> bool:
    if field.get("type") == "object" or "oneOf" in field:
        return True
    return any(resolve(option, root).get("type") == "object" for option in field.get("anyOf", []))


def _nested(name: str, field: Schema, root: Schema, value: Any, key: str) -> Any:
    if "oneOf" in field:
        options = [resolve(option, root) for option in field["oneOf"]]
        kinds = [option["properties"]["kind"]["const"] for option in options]
        present = (value or {}).get("kind", kinds[0])
        kind = st.selectbox("Kind", kinds, index=kinds.index(present), key=f"{key}.kind")
        chosen = dict(options[kinds.index(kind)])
        if chosen.get("description"):
            st.caption(chosen["description"])
        chosen["properties"] = {n: f for n, f in chosen["properties"].items() if n != "kind"}
        inner = value if value and value.get("kind") == kind else {}
        return {"kind": kind, **_group(chosen, root, inner, f"{key}.{kind}")}
    if "anyOf" in field:  # A group, or nothing.
        group = next(resolve(o, root) for o in field["anyOf"] if resolve(o, root).get("type") != "null")
        if not st.checkbox(f"Use {title(name).lower()}", value=value is not None, key=f"{key}.on"):
            return None
        return _group(group, root, value or {}, key)
    return _group(field, root, value or {}, key)


def _field(name: str, field: Schema, root: Schema, value: Any, key: str) -> Any:
    label, help_text = title(name), field.get("description")
    options = [resolve(option, root) for option in field.get("anyOf", [])]
    if any(option.get("type") == "null" for option in options):
        inner = next(option for option in options if option.get("type") != "null")
        text = st.text_input(
            label, "" if value is None else str(value), key=key, help=help_text, placeholder="none"
        )
        return _number(text, inner) if text.strip() else None
    if "const" in field:
        return field["const"]
    if "enum" in field:
        choices = field["enum"]
        index = choices.index(value) if value in choices else 0
        return st.selectbox(label, choices, index=index, key=key, help=help_text)
    kind = field.get("type")
    if kind == "boolean":
        return st.checkbox(label, bool(value), key=key, help=help_text)
    if kind == "integer":
        return st.number_input(
            label,
            value=int(value or 0),
            min_value=field.get("minimum"),
            max_value=field.get("maximum"),
            step=1,
            key=key,
            help=help_text,
        )
    if kind == "number":
        # As text: number inputs round 0.00025 to 0.00.
        return _number(
            st.text_input(label, f"{value:g}" if value is not None else "", key=key, help=help_text), field
        )
    if kind == "array":
        return _array(label, field, root, value, key, help_text)
    return st.text_input(label, "" if value is None else str(value), key=key, help=help_text)


def _array(label: str, field: Schema, root: Schema, value: Any, key: str, help_text: str | None) -> Any:
    items = resolve(field.get("items", {}), root)
    if "enum" in items:
        return st.multiselect(label, items["enum"], default=list(value or []), key=key, help=help_text)
    shown = ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value or [])
    text = st.text_input(label, shown, key=key, help=help_text or "Values with commas between them.")
    return [_number(part, items) for part in text.split(",") if part.strip()]


def _number(text: str, field: Schema) -> Any:
    """The number that the text means; else the text itself, which the API then refuses by name."""
    if field.get("type") not in ("integer", "number"):
        return text.strip()
    try:
        value = json.loads(text.strip())
    except ValueError:
        try:
            value = float(text)
        except ValueError:
            return text.strip()
    return int(value) if field.get("type") == "integer" and float(value).is_integer() else value
