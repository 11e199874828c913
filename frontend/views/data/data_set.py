"""One data set: what it holds, its versions, what is wrong with it, and the runs that read it."""

from __future__ import annotations

import json
from uuid import UUID

import streamlit as st

from frontend.components.survey_task import task_in_address
from frontend.formatting import plain
from frontend.session import client, is_admin, show_errors
from frontend.style import badge, synthetic_badge
from frontend.views.data.edit import about
from frontend.views.data.posts_peek import posts_peek
from frontend.views.data.runs import data_runs, remove_button
from frontend.views.data.summary import counts, kind_and_marks
from frontend.views.data.versions import data_versions, folder_changes
from vise_client.schemas.datasets import DatasetView
from vise_core.specs.survey import SurveyResult


def data_set(dataset_id: UUID) -> None:
    """The whole page."""
    one = client().dataset(dataset_id)
    admin = is_admin()
    st.page_link("views/data/page.py", label="All data", icon=":material/arrow_back:")
    st.header(plain(one.name), anchor=False)
    st.markdown(f"{kind_and_marks(one)}{synthetic_badge(one.synthetic)}")
    if one.description:
        st.write(plain(one.description))
    origin = f"folder {one.folder} below the data root" if one.folder else f"from {one.source}"
    st.caption(plain(origin))
    with st.container(horizontal=True, vertical_alignment="center"):
        if one.state == "ready":
            _next_step(one)
        if admin:
            about(one)
            remove_button(one)
    if one.state != "ready":
        _wait(one.id)
        return
    folder_changes(one, editable=admin)
    if one.found is not None:
        version = f"Version {one.version.number}: " if one.version is not None else ""
        st.markdown(f"**{version}{counts(one)}**")
        for warning in one.found.warnings:
            st.warning(plain(warning), icon=":material/warning:")
        _integrity(one)
        _balance(one.found)
        _rejected(one)
        posts_peek(one)
        _samples(one)
    data_versions(one)
    data_runs(one)


def _next_step(one: DatasetView) -> None:
    stage, role = {"images": ("evaluate", "dataset"), "posts": ("ingest", "source")}.get(
        one.kind, ("import", "file")
    )
    st.page_link(
        "views/launch/page.py",
        label={"evaluate": "Evaluate on it", "ingest": "Ingest it"}.get(stage, "Import it"),
        icon=":material/rocket_launch:",
        query_params={"what": stage, f"in_{role}": f"dataset:{one.id}"} | task_in_address(one),
    )
    if stage == "evaluate":
        st.page_link(
            "views/launch/page.py",
            label="Check its integrity",
            icon=":material/verified:",
            query_params={"what": "integrity", "in_dataset": f"dataset:{one.id}"} | task_in_address(one),
        )


@st.fragment(run_every=2)
def _wait(dataset_id: UUID) -> None:
    """The run that brings it in, live."""
    with show_errors():
        one = client().dataset(dataset_id)
        if one.run_id is None:
            return
        run = client().run(one.run_id)
        st.markdown(f"{badge(run.state)} {plain(run.reason or '')}")
        if run.progress is not None and not run.state.final:
            done = f"{run.progress.done:,.0f} {run.progress.unit}"
            share = run.progress.done / run.progress.total if run.progress.total else None
            if share is not None:
                st.progress(min(1.0, share), text=f"{run.progress.phase}: {done}")
            else:
                st.caption(f"{run.progress.phase}: {done}")
        if one.state == "ready":
            st.rerun()


def _integrity(one: DatasetView) -> None:
    if one.integrity is None:
        return
    told = [check for check in one.integrity.checks if check.verdict in ("failed", "warning")]
    st.subheader("Integrity, as the newest run on this version found", anchor=False)
    if not told:
        st.success("No check that ran found anything.", icon=":material/verified:")
    for check in told:
        show = st.error if check.verdict == "failed" else st.warning
        show(f"**{check.title}** {plain(check.sentence)}")


def _balance(found: SurveyResult) -> None:
    if not found.classes:
        return
    st.subheader("Label balance", anchor=False)
    total = max(1, sum(found.classes.values()))
    rows = [
        {"class": name, "images": count, "share": 100 * count / total}
        for name, count in found.classes.items()
    ]
    st.dataframe(
        rows,
        hide_index=True,
        height=min(36 * (len(rows) + 1) + 2, 400),
        column_config={
            "share": st.column_config.ProgressColumn(
                "share", format="%.1f %%", min_value=0, max_value=100 * max(found.classes.values()) / total
            )
        },
    )


def _rejected(one: DatasetView) -> None:
    found = one.found
    if found is None:
        return
    if found.refused:
        st.subheader("What cannot be used", anchor=False)
        rows = [{"reason": name.replace("_", " "), "files": count} for name, count in found.refused.items()]
        st.dataframe(rows, hide_index=True)
        examples = json.loads(_file(str(one.thumbnails), "survey.json"))["examples"] if one.thumbnails else []
        if examples:
            st.dataframe(
                [{"reason": e["reason"], "example": e["message"]} for e in examples], hide_index=True
            )
    if found.other:
        counted = ", ".join(f"{ending or 'no ending'} {count:,}" for ending, count in found.other.items())
        st.caption(plain(f"Files that are not images by their names: {counted}."))


@st.cache_data(ttl=600, show_spinner=False, max_entries=500)
def _file(artifact: str, path: str) -> bytes:
    return client().artifact_content(artifact, path)


def _samples(one: DatasetView) -> None:
    if one.thumbnails is None:
        return
    survey = json.loads(_file(str(one.thumbnails), "survey.json"))
    if not survey["samples"]:
        return
    st.subheader("Samples", anchor=False)
    with st.container(horizontal=True, gap="small"):
        for sample in survey["samples"]:
            st.image(
                _file(str(one.thumbnails), sample["file"]),
                width=120,
                caption=plain((sample["label"] or sample["path"])[:40]),
                alt=sample["path"],
            )
