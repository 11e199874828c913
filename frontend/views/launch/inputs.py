"""Choosing what a run reads from: artifacts of runs and data sets, with search on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from frontend.components.input_ref import parse_ref, ref_text
from frontend.session import client, current_user
from vise_client.errors import ApiError
from vise_client.schemas.launch import InputCandidate

NONE = ""
ASKED = 50


@st.cache_data(ttl=5, show_spinner=False)
def _candidates(_user: str, artifacts: tuple[str, ...], search: str) -> list[InputCandidate]:
    return client().input_candidates(artifacts, search=search, limit=ASKED)


def choose_input(
    label: str,
    artifacts: Sequence[str],
    *,
    search: str,
    chosen: str,
    required: bool,
    help: str,
    key: str,
    on_change: Callable[..., None] | None = None,
    args: tuple[Any, ...] = (),
) -> str:
    """Draw the choice; returns the reference as text, empty for none. ``chosen``: what it starts with."""
    found = _candidates(str(current_user().id), tuple(artifacts), search)
    labels = {ref_text(one.ref): _label(one) for one in found}
    # What is chosen stays, whatever the search finds.
    for kept in (st.session_state.get(key, NONE), chosen):
        if kept and kept not in labels:
            labels[kept] = _named(kept)
    choices = [NONE, *labels]
    start = chosen or (choices[1] if required and found else NONE)
    picked = st.selectbox(
        label,
        choices,
        index=choices.index(start),
        format_func=lambda text: labels.get(text, "none"),
        key=key,
        help=help,
        on_change=on_change,
        args=args,
    )
    if required and not labels:
        st.caption(f"Nothing fits yet: it takes {' or '.join(artifacts[:3])}.")
    return picked or NONE


def changed_folder(text: str) -> None:
    """Below the choice of a data set: whether its folder still is the newest version, where it is not."""
    ref = parse_ref(text)
    if ref is None or ref.dataset is None:
        return
    try:
        changes = client().dataset_changes(ref.dataset)
    except ApiError:
        return
    if not changes.settled:
        st.warning(changes.sentence, icon=":material/warning:")
        data_set_link(text)


def data_set_link(text: str) -> None:
    """A link to the page of the data set that the reference means."""
    ref = parse_ref(text)
    if ref is not None and ref.dataset is not None:
        st.page_link(
            "views/data/page.py",
            label="Its page, with Rescan",
            icon=":material/database:",
            query_params={"dataset": str(ref.dataset)},
        )


def _label(one: InputCandidate) -> str:
    marks = ", synthetic" if one.synthetic else ""
    state = f", {one.state.value}" if one.state is not None and not one.state.final else ""
    tail = f" ({str(one.ref.run)[-4:]})" if one.ref.run else ""
    if one.ref.dataset:
        version = f"version {one.version}" if one.version is not None else "not surveyed yet"
        return f"{one.name} · data set, {version}{marks}"
    return f"{one.name} · {one.made_by} {one.created_at:%Y-%m-%d %H:%M}{marks}{state}{tail}"


def _named(text: str) -> str:
    ref = parse_ref(text)
    try:
        if ref is not None and ref.run is not None:
            return f"{client().run(ref.run).name}: {ref.artifact}"
        if ref is not None and ref.dataset is not None:
            return f"{client().dataset(ref.dataset).name} · data set"
    except ApiError:
        pass
    return text
