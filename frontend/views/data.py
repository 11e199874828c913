"""Data: what there is to learn from and to judge on, what is wrong with it, and how more comes in."""

from __future__ import annotations

import json
from uuid import UUID

import streamlit as st

from frontend.components.estimate import size
from frontend.components.page import empty, page_title
from frontend.components.paging import cursor_buttons, page_buttons, page_number, search_box
from frontend.session import client, errors_as_sentences, query_id
from frontend.style import badge, headline, plain, synthetic_badge
from vise_client.schemas import DatasetCreate, DatasetFromUrl, DatasetView, Role
from vise_core.specs.data import SurveyResult

PAGE = 20
KINDS = {"images": "Labelled images", "posts": "Posts", "weights": "Weights"}
# Stages whose runs make data of their own.
COLLECTIONS = ("ingest", "sample_tasks")
# The pages' server holds an upload in memory on its way; larger ones go to the API.
UPLOAD_MIB = 1024
TABS = ("Data sets", "Made by runs", "Add")

user = st.session_state["user"]


def data_sets() -> None:
    """One page of registered data sets, with search."""
    search = search_box("Search data sets", "Search by name")
    number = page_number()
    found = client().datasets(search=search, offset=PAGE * number, limit=PAGE + 1)
    if not found and not search and number == 0:
        empty(
            "No data set is registered yet.",
            "Upload an archive or name a folder or an address under Add; or generate synthetic posts and tasks.",
            page="launch",
            label="Generate sample data",
            query={"what": "ingest", "preset": "Sample data (synthetic)"},
        )
    elif not found:
        st.info("No data set matches. Search for something else.")
    for one in found[:PAGE]:
        _row(one)
    page_buttons(number, more=len(found) > PAGE)


def _row(one: DatasetView) -> None:
    with st.container(border=True, key=f"row-{one.id}"):
        st.page_link("views/data.py", label=f"**{plain(one.name)}**", query_params={"dataset": str(one.id)})
        marks = _state_badge(one) + synthetic_badge(one.synthetic)
        if one.found is not None and one.found.warnings:
            many = len(one.found.warnings)
            marks += f" :orange-badge[:material/warning: {many} warning{'s' if many > 1 else ''}]"
        st.markdown(f"{KINDS.get(one.kind, one.kind)}{marks}")
        st.caption(_counts(one.found) if one.found else (one.reason or "not looked through yet"))


def _state_badge(one: DatasetView) -> str:
    if one.state == "arriving":
        return " :blue-badge[:material/downloading: on its way]"
    return " :red-badge[:material/error: could not be brought in]" if one.state == "failed" else ""


def _counts(found: SurveyResult) -> str:
    what = "posts" if found.kind == "posts" else "images"
    parts = [f"{found.images:,} {what}"] if found.kind != "weights" else []
    if found.classes:
        parts.append(f"{len(found.classes)} classes")
    parts += [f"{part} {count:,}" for part, count in found.parts.items()]
    parts += [f"{found.files:,} files", size(found.bytes), f"layout {found.layout.replace('_', ' ')}"]
    return " · ".join(parts)


def one_data_set(dataset_id: UUID) -> None:
    """Counts, balance, refusals, warnings, samples."""
    one = client().dataset(dataset_id)
    st.page_link("views/data.py", label="All data", icon=":material/arrow_back:")
    st.header(plain(one.name), anchor=False)
    st.markdown(f"{KINDS.get(one.kind, one.kind)}{_state_badge(one)}{synthetic_badge(one.synthetic)}")
    if one.description:
        st.write(plain(one.description))
    origin = f"folder {one.folder} below the data root" if one.folder else f"from {one.source}"
    st.caption(plain(origin))
    with st.container(horizontal=True):
        if one.run_id or one.survey_id:
            st.page_link(
                "views/run.py",
                label="The run that brought it in" if one.run_id else "The run that looked through it",
                icon=":material/monitoring:",
                query_params={"run": str(one.run_id or one.survey_id)},
            )
        if one.state == "ready":
            _next_step(one)
        if user.role is Role.admin:
            with st.popover("Forget", icon=":material/delete:"):
                st.write("The entry goes; files and runs stay.")
                if st.button("Forget it", type="primary"):
                    client().delete_dataset(one.id)
                    st.query_params.clear()
                    st.rerun()
    if one.state != "ready":
        _wait(one.id)
        return
    if one.found is None:
        st.info("It is being looked through; counts and samples come when that run is done.")
        return
    st.markdown(f"**{_counts(one.found)}**")
    for warning in one.found.warnings:
        st.warning(plain(warning), icon=":material/warning:")
    _integrity(one)
    _balance(one.found)
    _refusals(one.found)
    _samples(one)


def _next_step(one: DatasetView) -> None:
    stage, role = {"images": ("evaluate", "dataset"), "posts": ("ingest", "source")}.get(
        one.kind, ("import", "file")
    )
    st.page_link(
        "views/launch.py",
        label={"evaluate": "Evaluate on it", "ingest": "Ingest it"}.get(stage, "Import it"),
        icon=":material/rocket_launch:",
        query_params={"what": stage, f"in_{role}": f"dataset:{one.id}"},
    )
    if stage == "evaluate":
        st.page_link(
            "views/launch.py",
            label="Check its integrity",
            icon=":material/verified:",
            query_params={"what": "integrity", "in_dataset": f"dataset:{one.id}"},
        )


@st.fragment(run_every=2)
def _wait(dataset_id: UUID) -> None:
    """The run that brings it in, live."""
    with errors_as_sentences():
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
    st.subheader("Integrity, as the newest run on it found", anchor=False)
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


def _refusals(found: SurveyResult) -> None:
    if found.refused:
        st.subheader("What cannot be used", anchor=False)
        rows = [{"reason": name.replace("_", " "), "files": count} for name, count in found.refused.items()]
        st.dataframe(rows, hide_index=True)


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


def collections() -> None:
    """Posts and tasks that runs made: counts and refusals, newest first."""
    stage = st.segmented_control(
        "Made by",
        COLLECTIONS,
        default=COLLECTIONS[0],
        format_func=lambda name: name.replace("_", " "),
        key="data.stage",
    )
    page = client().runs(
        stage=stage or COLLECTIONS[0],
        state=["succeeded"],
        all=True,
        limit=PAGE,
        cursor=st.query_params.get("cursor"),
    )
    if not page.items:
        empty(
            "No posts have been taken in yet.",
            "Ingest checks posts and writes shards; sample data needs no files.",
            page="launch",
            label="Ingest posts",
            query={"what": "ingest"},
        )
    for run in page.items:
        with st.container(border=True, key=f"row-{run.id}"):
            st.page_link("views/run.py", label=f"**{plain(run.name)}**", query_params={"run": str(run.id)})
            refused = int(run.headline.get("refused", 0))
            mark = f" :orange-badge[:material/warning: {refused:,} refused]" if refused else ""
            st.markdown(f"{headline(run.headline)}{mark}{synthetic_badge(run.synthetic)}")
            if run.stage == "ingest":
                st.page_link(
                    "views/launch.py",
                    label="Look through it",
                    icon=":material/search:",
                    query_params={
                        "what": "survey",
                        "spec": '{"kind":"posts"}',
                        "in_dataset": f"{run.id}:posts",
                    },
                )
    cursor_buttons(page.next_cursor)


def add() -> None:
    """Upload, name an address, or name a folder of the server."""
    if user.role is not Role.admin:
        st.info("Only an admin adds data sets. Ask one, and name the folder or the address.")
        return
    how = st.segmented_control("From", ("Upload", "Address", "Folder"), default="Upload", key="data.how")
    with st.form(f"add-{how}"):
        name = st.text_input("Name", max_chars=120)
        kind = st.selectbox("Kind", list(KINDS), format_func=KINDS.__getitem__, help=_LAYOUTS)
        description = st.text_area("Description", max_chars=2000, height=80)
        upload = url = sha256 = folder = None
        if how == "Address":
            url = st.text_input("Address", placeholder="https://example.org/images.tar")
            sha256 = st.text_input("SHA-256", help="Where it is known: another file is then refused.")
        elif how == "Folder":
            folder = st.text_input("Folder, below the server's data root", placeholder="emotions/images")
        else:
            upload = st.file_uploader(
                "Archive (zip or tar)",
                max_upload_size=UPLOAD_MIB,
                help="Larger ones: POST /api/v1/datasets/upload, with the archive as the body.",
            )
        st.caption(_LAYOUTS)
        if not st.form_submit_button("Add", type="primary", icon=":material/add:"):
            return
    if not name.strip():
        st.error("Give the data set a name.")
    elif how == "Address":
        body = {"name": name.strip(), "kind": kind, "url": (url or "").strip(), "description": description}
        if sha256 and sha256.strip():
            body["sha256"] = sha256.strip().lower()
        _opened(client().dataset_from_url(DatasetFromUrl.model_validate(body)))
    elif how == "Folder":
        wanted = {
            "name": name.strip(),
            "kind": kind,
            "folder": (folder or "").strip() or ".",
            "description": description,
        }
        _opened(client().register_dataset(DatasetCreate.model_validate(wanted)))
    elif upload is None:
        st.error("Choose an archive.")
    else:
        with st.spinner("Sending the archive …"):
            made = client().upload_dataset(
                name.strip(), upload.name, upload, kind=kind, description=description
            )
        _opened(made)


_LAYOUTS = (
    "Labelled images: one folder a class, or labels.csv with path,label and perhaps split, or a task of the paper in "
    "its published layout. Posts: posts.jsonl with a folder images, Parquet, or WebDataset shards."
)


def _opened(one: DatasetView) -> None:
    st.query_params.from_dict({"dataset": str(one.id)})
    st.rerun()


page_title("Data", "Data sets and posts: counts, balance, samples, and what is wrong with them.")
with errors_as_sentences():
    wanted = query_id("dataset")
    if wanted is not None:
        one_data_set(wanted)
    else:
        start = st.query_params.get("tab", TABS[0])
        tab = st.segmented_control(
            "Show",
            TABS,
            default=start if start in TABS else TABS[0],
            label_visibility="collapsed",
            key="data.tab",
        )
        if (tab or TABS[0]) != start:
            st.query_params.from_dict({"tab": tab or TABS[0]})
        {"Data sets": data_sets, "Made by runs": collections, "Add": add}[tab or TABS[0]]()
