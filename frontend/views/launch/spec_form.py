"""A form made from a spec's JSON schema: a widget for each field, nested groups, unions, optional groups.

Names, defaults, limits and help come from the schema; nothing here depends on a stage. Problems that the API finds are
shown below their fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.formatting import plain
from frontend.views.launch.spec_schema import (
    Schema,
    default_of,
    is_group,
    is_table,
    matching,
    may_be_null,
    options,
    parsed,
    parsed_table,
    resolve,
    title,
    written,
    written_table,
)
from vise_client.schemas.launch import FieldProblem


@dataclass
class ProblemPlaces:
    """The places below the form's widgets where problems of their fields are shown."""

    by_path: dict[str, DeltaGenerator] = dataclass_field(default_factory=dict)

    def reserve(self, path: str) -> None:
        """Reserve a place below the widget that was drawn last."""
        self.by_path[path] = st.empty()

    def show_problems(self, problems: Sequence[FieldProblem]) -> None:
        """Show each problem below its field, or below the innermost group around it.

        A missing value is no error: an untouched form shows no alarm.
        """
        messages: dict[str, list[str]] = {}
        for problem in problems:
            path = problem.field
            while path and path not in self.by_path:
                path = path.rpartition(".")[0]
            if path and problem.missing:
                self.by_path[path].caption("Required.")
            elif path:
                messages.setdefault(path, []).append(plain(problem.message))
        for path, texts in messages.items():
            self.by_path[path].error("  \n".join(texts), icon=":material/error:")

    def show_warnings(self, warnings: Sequence[FieldProblem]) -> None:
        """Show warnings, which do not prevent the launch, below their fields."""
        for warning in warnings:
            if warning.field in self.by_path:
                self.by_path[warning.field].warning(plain(warning.message), icon=":material/warning:")


def spec_form(
    schema: Schema, values: dict[str, Any], key: str, places: ProblemPlaces, *, expanded: Sequence[str] = ()
) -> dict[str, Any]:
    """Draw the form with these initial values; returns its present values. ``expanded``: paths of open groups."""
    return _Form(schema, key, places, expanded).group(schema, values, "spec")


@dataclass
class _Form:
    root: Schema
    key: str
    places: ProblemPlaces
    expanded: Sequence[str]

    def group(self, schema: Schema, values: dict[str, Any], path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        fields = {name: resolve(raw, self.root) for name, raw in schema.get("properties", {}).items()}
        simple = [name for name, field in fields.items() if not is_group(field, self.root) and name != "kind"]
        columns = st.columns(2) if len(simple) > 1 else [st.container()]
        for position, name in enumerate(simple):
            with columns[position % len(columns)]:
                value = values.get(name, default_of(fields[name], self.root))
                result[name] = self.widget(name, fields[name], value, f"{path}.{name}")
                self.places.reserve(f"{path}.{name}")
        for name, field in fields.items():
            if is_group(field, self.root):
                value = values.get(name, default_of(field, self.root))
                inner = f"{path}.{name}"
                expanded = any(p == inner or p.startswith(f"{inner}.") for p in self.expanded)
                with st.expander(title(name), expanded=expanded):
                    result[name] = self.nested(name, field, value, inner)
                self.places.reserve(inner)
        if "kind" in fields:
            result["kind"] = fields["kind"].get("const")
        return {name: result[name] for name in fields}

    def nested(self, name: str, field: Schema, value: Any, path: str) -> Any:
        if may_be_null(field) and not st.checkbox(
            f"Use {title(name).lower()}", value=value is not None, key=f"{self.key}.{path}.on"
        ):
            return None
        alternatives = options(field, self.root)
        group = matching(field, self.root, value)
        if len(alternatives) > 1:
            kinds = [option["properties"]["kind"]["const"] for option in alternatives]
            now = group["properties"]["kind"]["const"]
            kind = st.selectbox(
                f"Kind of {title(name).lower()}", kinds, index=kinds.index(now), key=f"{self.key}.{path}.kind"
            )
            if kind != now:
                value = None
            group = alternatives[kinds.index(kind)]
        if description := group.get("description") or field.get("description"):
            st.caption(description)
        kind_key = group.get("properties", {}).get("kind", {}).get("const", "")
        inner = _Form(self.root, f"{self.key}.{kind_key}", self.places, self.expanded)
        return inner.group(group, value or {}, path)

    def widget(self, name: str, field: Schema, value: Any, path: str) -> Any:
        label, help_text, key = title(name), field.get("description"), f"{self.key}.{path}"
        inner = options(field, self.root)[0]
        if "const" in field:
            return field["const"]
        if "enum" in inner:
            choices = [*([None] if may_be_null(field) else []), *inner["enum"]]
            index = choices.index(value) if value in choices else 0
            return st.selectbox(
                label,
                choices,
                index=index,
                key=key,
                help=help_text,
                format_func=lambda choice: "none" if choice is None else str(choice),
            )
        if inner.get("type") == "boolean" and not may_be_null(field):
            return st.checkbox(label, bool(value), key=key, help=help_text)
        if inner.get("type") == "array":
            return self.array(label, inner, value, key, help_text)
        if is_table(inner):
            shown = written_table(value)
            help_text = help_text or "Entries as name: value, separated by commas."
            return parsed_table(st.text_input(label, shown, key=key, help=help_text, live=True))
        # Numbers as text: Streamlit's number inputs round 0.00025 to 0.00 and ignore what is no number.
        text = st.text_input(
            label,
            written(value),
            key=key,
            help=help_text,
            live=True,
            placeholder="none" if may_be_null(field) else None,
        )
        if may_be_null(field) and not text.strip():
            return None
        return parsed(text) if inner.get("type") in ("integer", "number", "boolean") else text

    def array(self, label: str, inner: Schema, value: Any, key: str, help_text: str | None) -> Any:
        items = resolve(inner.get("items", {}), self.root)
        if "enum" in items:
            return st.multiselect(label, items["enum"], default=list(value or []), key=key, help=help_text)
        shown = ", ".join(written(v) for v in value or [])
        text = st.text_input(
            label, shown, key=key, help=help_text or "Values, separated by commas.", live=True
        )
        return [parsed(part) for part in text.split(",") if part.strip()]
