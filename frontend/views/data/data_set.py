"""The page of one data set: its content, problems, versions, and the runs that read it."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from frontend.components.layout import link_to
from frontend.components.run_rows import progress_bar
from frontend.components.survey_task import task_query
from frontend.formatting import plain
from frontend.session import client, is_admin, show_errors
from frontend.style import badge, synthetic_badge
from frontend.views.data.edit import edit_form
from frontend.views.data.posts_peek import posts_peek
from frontend.views.data.remove import remove_button
from frontend.views.data.runs import data_set_runs
from frontend.views.data.summary import counts, kind_and_badges
from frontend.views.data.survey import survey_report
from frontend.views.data.versions import data_set_versions, folder_changes
from vise_client.schemas.datasets import DatasetView


def data_set(data_set_id: UUID) -> None:
    """Draw the page of one data set."""
    data = client().dataset(data_set_id)
    link_to("data", "All data", icon=":material/arrow_back:")
    st.header(plain(data.name), anchor=False)
    st.markdown(f"{kind_and_badges(data)}{synthetic_badge(data.synthetic)}")
    if data.description:
        st.write(plain(data.description))
    st.caption(plain(f"folder {data.folder} below the data root" if data.folder else f"from {data.source}"))
    with st.container(horizontal=True, vertical_alignment="center"):
        if data.state == "ready":
            _next_steps(data)
        if is_admin():
            edit_form(data)
            remove_button(data)
    if data.state != "ready":
        _import_progress(data.id)
        return
    folder_changes(data)
    if data.survey is not None:
        version = f"Version {data.version.number}: " if data.version is not None else ""
        st.markdown(f"**{version}{plain(counts(data))}**")
        for warning in data.survey.warnings:
            st.warning(plain(warning), icon=":material/warning:")
        _integrity(data)
        survey_report(data)
        posts_peek(data)
    data_set_versions(data)
    data_set_runs(data)


def _next_steps(data: DatasetView) -> None:
    """Links to the launch page with this data set as the input."""
    ref = f"dataset:{data.id}"
    if data.kind == "images":
        query = {"what": "evaluate", "in_dataset": ref} | task_query(data)
        link_to("launch", "Evaluate on this data set", query)
        link_to("launch", "Check integrity", query | {"what": "integrity"}, icon=":material/verified:")
    elif data.kind == "posts":
        link_to("launch", "Ingest these posts", {"what": "ingest", "in_source": ref})
    else:
        link_to("launch", "Import these weights", {"what": "import", "in_file": ref})


@st.fragment(run_every=2)
def _import_progress(data_set_id: UUID) -> None:
    """The run that imports the data; the page is drawn again when the data set is ready."""
    with show_errors():
        data = client().dataset(data_set_id)
        if data.run_id is None:
            return
        run = client().run(data.run_id)
        st.markdown(f"{badge(run.state)} {plain(run.reason or '')}")
        progress_bar(run)
        if data.state == "ready":
            st.rerun()


def _integrity(data: DatasetView) -> None:
    """The findings of the newest integrity run on this version."""
    if data.integrity is None:
        return
    st.subheader("Integrity, by the newest run on this version", anchor=False)
    findings = [check for check in data.integrity.checks if check.verdict in ("failed", "warning")]
    if not findings:
        st.success("All checks that ran have passed.", icon=":material/verified:")
    for check in findings:
        show = st.error if check.verdict == "failed" else st.warning
        show(f"**{plain(check.title)}** {plain(check.sentence)}")
