"""Actions on all selected runs, and the message with their outcome."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.components.derived import derived_list, merged
from frontend.components.layout import link_to
from frontend.formatting import count, plain
from frontend.session import changeable, client, show_errors
from vise_client.schemas.accounts import Owned
from vise_client.schemas.runs import BulkRequest

ICONS = {
    "star": "star",
    "archive": "archive",
    "unarchive": "unarchive",
    "cancel": "stop",
    "pause": "pause",
    "resume": "play_arrow",
    "retry": "replay",
}
"""Action → icon of its button."""
MOST = 1000
MOST_COMPARED = 100
MOST_LISTED = 10
OUTCOME = "bulk-outcome"


def bulk_bar(selected: Sequence[str]) -> bool:
    """Draw the actions on the selected runs and groups; return True if the selection is to be cleared."""
    ids = _run_ids(selected)
    if not ids:
        return False
    action: str | None = None
    tags: list[str] = []
    with st.container(border=True, key="bulk-bar"):
        st.markdown(f"**{count(len(ids), 'run')} selected**")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if len(ids) > 1:
                link_to("compare", "Compare", {"run": ids[:MOST_COMPARED]})
            own = changeable(Owned.run, ids)
            if own:
                action, tags = _action([i for i in ids if i in own])
            if st.button("Clear selection", key="bulk-clear"):
                return True
        if len(own) < len(ids):
            st.caption(
                f"You may change {len(own)} of these runs; the others belong to other users, and stay as they are."
            )
    if action is None:
        return False
    with show_errors():
        outcomes = client().bulk(
            BulkRequest.model_validate({"ids": [i for i in ids if i in own], "action": action, "tags": tags})
        )
        st.session_state[OUTCOME] = (action, [outcome.model_dump() for outcome in outcomes])
        return True
    return False


def bulk_outcome() -> None:
    """Draw the outcome of the last action: for which runs it was refused, and why."""
    if OUTCOME not in st.session_state:
        return
    action, outcomes = st.session_state[OUTCOME]
    refused = [outcome for outcome in outcomes if not outcome["done"]]
    sentence = f"{action.capitalize()}: done for {len(outcomes) - len(refused)} of {len(outcomes)} runs."
    if refused:
        lines = "\n".join(
            f"- {plain(o['name'] or str(o['id']))}: {plain(o['message'])}" for o in refused[:20]
        )
        st.warning(f"{sentence}\n\n{lines}", icon=":material/warning:")
    else:
        st.success(sentence, icon=":material/check:")
    if st.button("Dismiss", key="bulk-dismiss"):
        del st.session_state[OUTCOME]
        st.rerun()


def _action(own: Sequence[str]) -> tuple[str | None, list[str]]:
    """The buttons; returns the action whose button was pressed, and the tags to add or remove."""
    action = None
    for name, icon in ICONS.items():
        if st.button(name.capitalize(), icon=f":material/{icon}:", key=f"bulk-{name}"):
            action = name
    with st.popover("Tag", icon=":material/label:"):
        text = st.text_input("Tags", placeholder="c+r, paper", key="bulk-tags")
        tags = [tag.strip() for tag in text.split(",") if tag.strip()]
        if st.button("Add tags", key="bulk-tag", disabled=not tags):
            action = "tag"
        if st.button("Remove tags", key="bulk-untag", disabled=not tags):
            action = "untag"
    box = st.popover("Delete", icon=":material/delete:", on_change="rerun", key="bulk-delete-open")
    with box:
        runs = count(len(own), "run")
        st.write(f"Delete {runs} permanently, with curves and logs?")
        if box.open:
            _derived(own)
        if st.button(f"Delete {runs}", key="bulk-delete", type="primary"):
            action = "delete"
    return action, tags if action in ("tag", "untag") else []


def _derived(own: Sequence[str]) -> None:
    """Draw what depends on the first of these runs; one that reads from another of them is deleted before it."""
    with show_errors():
        derived = [client().run_derived(run_id) for run_id in own[:MOST_LISTED]]
        derived_list(merged(derived, own))
        if len(own) > MOST_LISTED:
            st.caption(f"Of the first {MOST_LISTED} of {len(own)} runs.")


def _run_ids(selected: Sequence[str]) -> list[str]:
    """The ids of the selected runs and of all runs of the selected groups."""
    ids: dict[str, None] = {}
    with show_errors():
        for key in selected:
            if not key.startswith("group:"):
                ids[key] = None
                continue
            query = f"group = {key.removeprefix('group:')} and not archived"
            ids |= {str(run.id): None for run in client().runs(query=query, all=True, limit=200).items}
    return list(ids)[:MOST]
