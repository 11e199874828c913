"""The versions of a data set, changes of its folder since the newest version, and the rescan that adds one."""

from __future__ import annotations

import streamlit as st

from frontend.components.paging import cursor_buttons
from frontend.components.run_rows import progress_bar, run_link
from frontend.formatting import count, minute, plain
from frontend.session import client, is_admin, query_number, show_errors
from frontend.style import badge
from frontend.views.data.summary import version_counts
from vise_client.schemas.datasets import DatasetVersionView, DatasetView
from vise_client.schemas.run_states import RunState

SHOWN = 5
EVERY = 3
"""Seconds between two requests while a survey, or a comparison of the folder, is in progress."""


def folder_changes(data_set: DatasetView) -> None:
    """Draw whether a registered folder differs from its newest version, or the survey while it is in progress."""
    if data_set.folder is None:
        return
    survey = data_set.survey_state
    if survey is not None and not survey.final:
        _survey_progress(data_set)
        return
    if data_set.version is None:
        reason = plain(data_set.survey_reason or "it ended without a result")
        st.error(f"**The survey of the folder failed:** {reason}", icon=":material/error:")
        _rescan_button(data_set, "Repeat the survey")
        return
    changes = client().dataset_changes(data_set.id)
    if changes.state == "checking":
        _comparison_progress(data_set)
    elif changes.settled:
        surveyed = minute(data_set.version.checked_at)
        st.caption(f":material/check: {plain(changes.sentence)} Last survey: {surveyed} UTC.")
    else:
        files = f"  \nFor example: {plain(', '.join(changes.first))}." if changes.first else ""
        st.warning(
            f"**{plain(changes.sentence)}** Until the rescan, runs read the folder as it is, and the version that they "
            f"read is recorded as unknown.{files}",
            icon=":material/warning:",
        )
    if survey is RunState.failed:
        reason = plain(data_set.survey_reason or "")
        st.error(f"**The newest survey failed:** {reason}", icon=":material/error:")
    if changes.state != "missing":
        _rescan_button(data_set, "Rescan")


def data_set_versions(data_set: DatasetView) -> None:
    """Draw the newest versions, each with its content and the number of runs that read it."""
    if data_set.version is None:
        return
    versions = client().dataset_versions(data_set.id, before=query_number("before"), limit=SHOWN + 1)
    st.subheader("Versions", anchor=False)
    for version in versions[:SHOWN]:
        _version(version)
    unknown = sum(client().dataset_runs(data_set.id, unknown=True, limit=1).states.values())
    if unknown:
        label = f"{count(unknown, 'run')} of an unknown version"
        if st.button(label, type="tertiary", icon=":material/warning:", key="runs-of-unknown"):
            _show_runs_of("unknown")
    older = str(versions[SHOWN - 1].number) if len(versions) > SHOWN else None
    cursor_buttons(older, parameter="before", things="versions")


def _version(version: DatasetVersionView) -> None:
    with st.container(border=True, key=f"version-{version.number}"):
        same = f" :gray-badge[same content as version {version.same_as}]" if version.same_as else ""
        st.markdown(f"**Version {version.number}** {plain(version_counts(version))}{same}")
        digest = f"SHA-256 {version.sha256[:16]}…"
        surveyed = f"surveyed {minute(version.created_at)} UTC"
        if version.checked_at != version.created_at:
            surveyed += f", unchanged at {minute(version.checked_at)} UTC"
        st.caption(f"{surveyed} · {digest}", help=version.sha256)
        with st.container(horizontal=True, vertical_alignment="center"):
            key = f"runs-of-{version.number}"
            if version.runs and st.button(f"Show {count(version.runs, 'run')}", type="tertiary", key=key):
                _show_runs_of(str(version.number))
            if version.run_id is not None:
                run_link(version.run_id, "Survey run")


def _show_runs_of(version: str) -> None:
    st.query_params["version"] = version
    st.rerun()


def _rescan_button(data_set: DatasetView, label: str) -> None:
    if not is_admin():
        st.caption("Admins can rescan the folder.")
        return
    help = "Survey the folder again. Changed content becomes a new version; unchanged content adds none."
    if st.button(label, icon=":material/refresh:", help=help, key="rescan"):
        client().rescan_dataset(data_set.id)
        st.rerun()


@st.fragment(run_every=EVERY)
def _survey_progress(data_set: DatasetView) -> None:
    """The survey in progress; the page is drawn again when it has ended."""
    with show_errors():
        now = client().dataset(data_set.id)
        if now.survey_id is None or now.survey_state is None or now.survey_state.final:
            st.rerun()
            return
        run = client().run(now.survey_id)
        with st.container(border=True, key="survey"):
            st.markdown(f"{badge(run.state)} Survey of the folder in progress. {plain(run.reason or '')}")
            progress_bar(run)
            run_link(run.id, "Open the run")


@st.fragment(run_every=EVERY)
def _comparison_progress(data_set: DatasetView) -> None:
    """The comparison of a large folder in progress; the page is drawn again when it has ended."""
    with show_errors():
        changes = client().dataset_changes(data_set.id)
        if changes.state != "checking":
            st.rerun()
        st.caption(f":material/hourglass_empty: {plain(changes.sentence)}")
