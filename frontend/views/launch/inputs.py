"""The selection of an input of a run: an artifact of a run or a data set, with search on the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from frontend.components.input_ref import parse_ref, ref_text
from frontend.components.layout import link_to
from frontend.formatting import minute, plain
from frontend.session import client, current_user
from vise_client.errors import ApiError
from vise_client.schemas.launch import InputCandidate

NONE = ""
MOST = 50
"""Candidates that are listed."""


def input_select(
    label: str,
    artifacts: Sequence[str],
    *,
    search: str,
    initial: str,
    required: bool,
    help: str,
    key: str,
    on_change: Callable[..., None] | None = None,
    args: tuple[Any, ...] = (),
) -> str:
    """Draw a selection for an input and return the selected reference as text, empty for none.

    ``initial`` is selected at first.
    """
    candidates = _candidates(str(current_user().id), tuple(artifacts), search)
    labels = {ref_text(candidate.ref): _label(candidate) for candidate in candidates}
    # The selected input stays in the list, whatever the search finds.
    for selected in (st.session_state.get(key, NONE), initial):
        if selected and selected not in labels:
            labels[selected] = _name(selected)
    options = [NONE, *labels]
    selected = st.selectbox(
        label,
        options,
        index=options.index(initial or (options[1] if required and candidates else NONE)),
        format_func=lambda text: labels.get(text, "none"),
        key=key,
        help=help,
        on_change=on_change,
        args=args,
    )
    if required and not labels:
        st.caption(f"No run or data set has {' or '.join(artifacts[:3])} yet.")
    return selected or NONE


def folder_warning(text: str) -> None:
    """Warn where the folder of the selected data set differs from its newest version."""
    ref = parse_ref(text)
    if ref is None or ref.dataset is None:
        return
    try:
        changes = client().dataset_changes(ref.dataset)
    except ApiError:
        return
    if not changes.settled:
        st.warning(plain(changes.sentence), icon=":material/warning:")
        data_set_link(text)


def data_set_link(text: str) -> None:
    """Draw a link to the page of the data set, if the reference names one."""
    ref = parse_ref(text)
    if ref is not None and ref.dataset is not None:
        link_to("data", "Open the data set to rescan it", {"dataset": str(ref.dataset)})


@st.cache_data(ttl=5, show_spinner=False)
def _candidates(_user: str, artifacts: tuple[str, ...], search: str) -> list[InputCandidate]:
    return client().input_candidates(artifacts, search=search, limit=MOST)


def _label(candidate: InputCandidate) -> str:
    ref, state = candidate.ref, candidate.state
    synthetic = ", synthetic" if candidate.synthetic else ""
    if ref.dataset:
        version = f"version {candidate.version}" if candidate.version is not None else "not surveyed yet"
        return f"{candidate.name} · data set, {version}{synthetic}"
    unfinished = f", {state.value}" if state is not None and not state.final else ""
    tail = f" ({str(ref.run)[-4:]})" if ref.run else ""
    made = f"{candidate.made_by} {minute(candidate.created_at)}"
    return f"{candidate.name} · {made}{synthetic}{unfinished}{tail}"


def _name(text: str) -> str:
    """The name behind a reference that the search has not found; the text itself where it is unknown."""
    ref = parse_ref(text)
    try:
        if ref is not None and ref.run is not None:
            return f"{client().run(ref.run).name}: {ref.artifact}"
        if ref is not None and ref.dataset is not None:
            return f"{client().dataset(ref.dataset).name} · data set"
    except ApiError:
        pass
    return text
