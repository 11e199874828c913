"""How the runs are looked at: what the page's address says, and the columns, views and actions that change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import streamlit as st

from frontend.session import client, show_errors
from vise_client.schemas.metrics import MetricRule
from vise_client.schemas.run_lists import (
    RunListState,
    SavedViewCreate,
    SavedViewUpdate,
    SavedViewView,
    Vocabulary,
)
from vise_client.schemas.runs import BulkRequest

DEFAULT = ("status", "stage", "created", "duration", "result")
DEFAULT_GROUPED = ("status", "stage", "runs", "created")
PLAIN = (
    "stage",
    "created",
    "started",
    "finished",
    "duration",
    "result",
    "tag",
    "user",
    "runs",
    "queue",
    "worker",
    "attempt",
    "step",
    "notes",
    "group",
)
RULES: tuple[str, ...] = get_args(MetricRule)


def read_look() -> RunListState:
    """The look of the page's address. Addresses of before the query language are understood too."""
    asked = st.query_params
    query = asked.get("query", "")
    parts = [f"{name} = {asked[name]}" for name in ("stage", "state") if asked.get(name)]
    if asked.get("search"):
        escaped = asked["search"].replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'"{escaped}"')
    if parts:
        query = " and ".join([*([f"({query})"] if query else []), *parts])
    return RunListState(
        query=query[:2000],
        columns=asked.get_all("column")[:40],
        sort=asked.get("sort", "-created")[:200],
        grouped=asked.get("grouped") == "true",
        nested=asked.get("all") == "true",
    )


def write_look(look: RunListState, *, cursor: str | None = None, opened: Sequence[str] = ()) -> None:
    """Make the page's address say it: a link or a reload shows the same."""
    said: dict[str, str | list[str]] = {
        "query": look.query,
        "column": look.columns,
        "sort": "" if look.sort == "-created" else look.sort,
        "grouped": "true" if look.grouped else "",
        "all": "true" if look.nested else "",
        "cursor": cursor or "",
        "open": list(opened),
    }
    st.query_params.from_dict({name: value for name, value in said.items() if value})


def shown_columns(look: RunListState, words: Vocabulary) -> list[str]:
    """The chosen columns, or those that fit when none are chosen; name and status are always there."""
    chosen = look.columns
    if not chosen and look.grouped:
        chosen = [*DEFAULT_GROUPED[1:], *usual_metrics(words)]
    elif not chosen:
        chosen = list(DEFAULT[1:])
    if look.grouped:
        chosen = [c for c in chosen if c in ("stage", "created", "tag", "runs") or "." in c]
    return ["name", "status", *(c for c in chosen if c not in ("name", "status"))]


def usual_metrics(words: Vocabulary) -> list[str]:
    """What evaluations are judged by, as far as there is any."""
    found = [f"metric.{p}_{m}" for m in ("accuracy", "top1", "roc_auc") for p in ("test", "val")]
    return [name for name in found if name.removeprefix("metric.") in words.metrics][:4]


def column_chooser(look: RunListState, words: Vocabulary) -> RunListState:
    """Choose columns, and for each metric how its curve becomes one number."""
    chosen = [c for c in shown_columns(look, words) if c not in ("name", "status")]
    bare = [_without_rule(c) for c in chosen]
    options = [*PLAIN, *(f"metric.{k}" for k in words.metrics), *(f"spec.{p}" for p in words.specs)]
    options += [c for c in bare if c not in options]
    picked = st.multiselect("Columns", options, default=list(dict.fromkeys(bare)), help="Type to find one.")
    rules = {_without_rule(c): _rule(c) for c in chosen}
    metrics = [c for c in picked if c.startswith("metric.")]
    if metrics:
        st.caption("How the curve of each metric becomes one number.")
    for metric in metrics:
        rules[metric] = st.selectbox(
            metric.removeprefix("metric."),
            RULES,
            index=RULES.index(rules.get(metric, "final")),
            format_func=lambda rule: f"{rule}: {words.rules[rule]}",
            key=f"rule-{metric}",
        )
    columns = [c if rules.get(c, "final") == "final" else f"{c}:{rules[c]}" for c in picked]
    return look if columns == chosen else look.model_copy(update={"columns": columns})


def saved_views(look: RunListState, *, may_share: bool) -> RunListState | None:
    """Open, keep, change and forget views. Returns the look of the view that was opened."""
    with show_errors():
        views = client().views()
        opened = None
        if not views:
            st.caption("A view keeps the search, columns, order and grouping under a name.")
        for view in views:
            with st.container(horizontal=True, vertical_alignment="center"):
                if _open_button(view):
                    opened = view.list_state
                if view.mine and st.button(
                    "Replace", key=f"replace-{view.id}", help="Keep what is shown now under this name."
                ):
                    client().update_view(view.id, SavedViewUpdate(list_state=look))
                    st.toast(f"{view.name} now shows this.")
                if view.mine and st.button("Delete", key=f"forget-{view.id}"):
                    client().delete_view(view.id)
                    st.rerun()
        with st.form("save-view", border=False, clear_on_submit=True):
            name = st.text_input("Keep this view as", max_chars=80)
            shared = st.checkbox("For everybody", disabled=not may_share)
            if st.form_submit_button("Save view") and name.strip():
                client().save_view(SavedViewCreate(name=name.strip(), list_state=look, shared=shared))
                st.rerun()
        st.caption("The address of this page is a link to what it shows.")
        return opened
    return None


def _open_button(view: SavedViewView) -> bool:
    owner = "" if view.mine else f" ({view.owner})"
    icon = ":material/group:" if view.shared else ":material/bookmark:"
    return st.button(
        f"{view.name}{owner}", key=f"view-{view.id}", icon=icon, help=view.list_state.query or None
    )


def bulk_bar(chosen: Sequence[str]) -> bool:
    """What can be done with the chosen runs. Returns whether something was done."""
    ids = _run_ids(chosen)
    if not ids:
        return False
    with st.container(border=True, key="bulk-bar"):
        st.markdown(f"**{len(ids)} {'run' if len(ids) == 1 else 'runs'} chosen**")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if len(ids) > 1:
                st.page_link(
                    "views/compare/page.py",
                    label="Compare",
                    icon=":material/compare_arrows:",
                    query_params={"run": ids[:100]},
                )
            action = None
            if st.session_state["may_edit"]:
                for name, icon in (
                    ("star", "star"),
                    ("archive", "archive"),
                    ("unarchive", "unarchive"),
                    ("cancel", "stop"),
                    ("pause", "pause"),
                    ("resume", "play_arrow"),
                    ("retry", "replay"),
                ):
                    if st.button(name.capitalize(), icon=f":material/{icon}:", key=f"bulk-{name}"):
                        action = name
                with st.popover("Tag", icon=":material/label:"):
                    tags = [
                        t.strip()
                        for t in st.text_input("Tags", placeholder="c+r, paper", key="bulk-tags").split(",")
                        if t.strip()
                    ]
                    if st.button("Add", key="bulk-tag", disabled=not tags):
                        action = "tag"
                    if st.button("Take away", key="bulk-untag", disabled=not tags):
                        action = "untag"
                with st.popover("Delete", icon=":material/delete:"):
                    st.write(f"Forget {len(ids)} of them for good, with their curves and logs?")
                    if st.button("Delete for good", key="bulk-delete", type="primary"):
                        action = "delete"
            if st.button("Choose none", key="bulk-none"):
                return True
        if action is None:
            return False
        with show_errors():
            sent = tags if action in ("tag", "untag") else []
            outcomes = client().bulk(BulkRequest.model_validate({"ids": ids, "action": action, "tags": sent}))
            st.session_state["bulk-told"] = (action, [o.model_dump() for o in outcomes])
            return True
    return False


def tell_outcomes() -> None:
    """What the last bulk action did, and to which runs it could not be done and why."""
    if "bulk-told" not in st.session_state:
        return
    action, outcomes = st.session_state["bulk-told"]
    refused = [o for o in outcomes if not o["done"]]
    done = len(outcomes) - len(refused)
    sentence = f"{action.capitalize()}: done to {done} of {len(outcomes)}."
    if not refused:
        st.success(sentence, icon=":material/check:")
    else:
        lines = "\n".join(f"- {o['name'] or o['id']}: {o['message']}" for o in refused[:20])
        st.warning(f"{sentence}\n\n{lines}", icon=":material/warning:")
    if st.button("Dismiss", key="bulk-told-read"):
        del st.session_state["bulk-told"]
        st.rerun()


def _run_ids(chosen: Sequence[str]) -> list[str]:
    """Of a chosen group, all its runs."""
    found: dict[str, Any] = {}
    with show_errors():
        for key in chosen:
            if not key.startswith("group:"):
                found[key] = None
                continue
            members = client().runs(
                query=f"group = {key.removeprefix('group:')} and not archived", all=True, limit=200
            )
            found |= {str(run.id): None for run in members.items}
    return list(found)[:1000]


def _without_rule(column: str) -> str:
    name, colon, rule = column.rpartition(":")
    return name if colon and rule in RULES else column


def _rule(column: str) -> str:
    return column.rpartition(":")[2] if column != _without_rule(column) else "final"
