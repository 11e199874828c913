"""The versions of a data set, whether its folder has changed since the newest one, and the button that makes the next."""

from __future__ import annotations

import streamlit as st

from frontend.formatting import plain, size
from frontend.session import client, show_errors
from frontend.style import badge
from frontend.views.data.summary import version_counts
from vise_client.schemas.datasets import DatasetVersionView, DatasetView
from vise_client.schemas.run_states import RunState

SHOWN = 5
EVERY = 3
"""Seconds between two looks at a survey, or a comparison, that is under way."""


def folder_changes(one: DatasetView, *, editable: bool) -> None:
    """Whether a registered folder still is its newest version; of a survey under way, how far it is."""
    if one.folder is None:
        return
    survey = one.survey_state
    if survey is not None and not survey.final:
        _survey(one)
        return
    if one.version is None:
        reason = plain(one.survey_reason or "it ended without a result")
        st.error(f"**The survey of the folder did not succeed:** {reason}", icon=":material/error:")
        _rescan(one, "Survey it again", editable=editable)
        return
    changes = client().dataset_changes(one.id)
    if changes.state == "checking":
        _checking(one)
    elif changes.settled:
        checked = f"{one.version.checked_at:%Y-%m-%d %H:%M} UTC"
        st.caption(f":material/check: {plain(changes.sentence)} Last survey: {checked}.")
    else:
        files = f"  \nSuch as {plain(', '.join(changes.first))}." if changes.first else ""
        st.warning(
            f"**{plain(changes.sentence)}** Until then a run reads the folder as it is, and its version is marked as "
            f"unknown.{files}",
            icon=":material/warning:",
        )
    if survey is RunState.failed:
        st.error(f"**The newest survey failed:** {plain(one.survey_reason or '')}", icon=":material/error:")
    if changes.state != "missing":
        _rescan(one, "Rescan", editable=editable)


def data_versions(one: DatasetView) -> None:
    """The newest versions with what each held and how many runs read it."""
    if one.version is None:
        return
    before = _before()
    versions = client().dataset_versions(one.id, before=before, limit=SHOWN + 1)
    st.subheader("Versions", anchor=False)
    for version in versions[:SHOWN]:
        _version(version)
    unknown = sum(client().dataset_runs(one.id, unknown=True, limit=1).states.values())
    if unknown:
        runs = "1 run" if unknown == 1 else f"{unknown:,} runs"
        label = f"{runs} read what is no known version"
        if st.button(label, type="tertiary", icon=":material/warning:", key="runs-of-unknown"):
            st.query_params["version"] = "unknown"
            st.rerun()
    with st.container(horizontal=True):
        if before is not None and st.button("Newest versions", icon=":material/first_page:"):
            del st.query_params["before"]
            st.rerun()
        if len(versions) > SHOWN and st.button("Older versions", icon=":material/chevron_right:"):
            st.query_params["before"] = str(versions[SHOWN - 1].number)
            st.rerun()


def _before() -> int | None:
    text = st.query_params.get("before", "")
    return int(text) if text.isdecimal() and 0 < len(text) < 9 else None


def _version(version: DatasetVersionView) -> None:
    with st.container(border=True, key=f"version-{version.number}"):
        marks = f" :gray-badge[same content as version {version.same_as}]" if version.same_as else ""
        st.markdown(f"**Version {version.number}** {version_counts(version)}{marks}")
        digest = f"SHA-256 {version.sha256[:16]}…"
        found = f"found {version.created_at:%Y-%m-%d %H:%M} UTC"
        if version.checked_at != version.created_at:
            found += f", last seen unchanged {version.checked_at:%Y-%m-%d %H:%M} UTC"
        st.caption(f"{found} · {digest}", help=version.sha256)
        with st.container(horizontal=True, vertical_alignment="center"):
            if version.runs:
                runs = "1 run" if version.runs == 1 else f"{version.runs:,} runs"
                if st.button(f"{runs} read it", type="tertiary", key=f"runs-of-{version.number}"):
                    st.query_params["version"] = str(version.number)
                    st.rerun()
            if version.run_id is not None:
                st.page_link(
                    "views/run/page.py",
                    label="The run that found it",
                    icon=":material/monitoring:",
                    query_params={"run": str(version.run_id)},
                )


def _rescan(one: DatasetView, label: str, *, editable: bool) -> None:
    if not editable:
        st.caption("An admin can rescan the folder.")
        return
    told = (
        "Survey the folder again. Another content becomes the next version; the same content changes nothing."
    )
    if st.button(label, icon=":material/refresh:", help=told, key="rescan"):
        client().rescan_dataset(one.id)
        st.rerun()


@st.fragment(run_every=EVERY)
def _survey(one: DatasetView) -> None:
    """The survey that is under way, live."""
    with show_errors():
        now = client().dataset(one.id)
        if now.survey_id is None or now.survey_state is None or now.survey_state.final:
            st.rerun()
            return
        run = client().run(now.survey_id)
        with st.container(border=True, key="survey"):
            st.markdown(f"{badge(run.state)} The folder is being surveyed. {plain(run.reason or '')}")
            if run.progress is not None:
                done = f"{run.progress.phase}: {_amount(run.progress.done, run.progress.unit)}"
                if run.progress.total:
                    st.progress(min(1.0, run.progress.done / run.progress.total), text=plain(done))
                else:
                    st.caption(plain(done))
            st.page_link(
                "views/run/page.py",
                label="Follow it",
                icon=":material/monitoring:",
                query_params={"run": str(run.id)},
            )


def _amount(done: float, unit: str) -> str:
    return size(done) if unit == "bytes" else f"{done:,.0f} {unit}"


@st.fragment(run_every=EVERY)
def _checking(one: DatasetView) -> None:
    """A big folder that is being compared: draw the page again once that is done."""
    with show_errors():
        changes = client().dataset_changes(one.id)
        if changes.state != "checking":
            st.rerun()
        st.caption(f":material/hourglass_empty: {plain(changes.sentence)}")
