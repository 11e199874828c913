"""The history of predictions, and the labelled set that grows out of it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import streamlit as st

from frontend.components.layout import empty
from frontend.formatting import age, plain
from frontend.session import client
from frontend.style import synthetic_badge
from vise_client.schemas.models import ModelView
from vise_client.schemas.predictions import PredictionSummary
from vise_core.specs.explain import CAM_METHODS

from .requests import forget_answer

PAGE = 20
LABELS = ("all", "labelled", "not labelled")


def history(models: Sequence[ModelView], *, may_edit: bool) -> None:
    """Your own questions, newest first; filters and place are in the address."""
    st.markdown(
        "Your own questions. An image is held for an hour, so that a reload shows it again, and then forgotten; a "
        "small picture and the SHA-256 stay only where you asked to keep them."
    )
    names = {str(model.id): model.name for model in models}
    left, right = st.columns(2)
    model = left.selectbox(
        "Model",
        ["", *names],
        format_func=lambda i: names.get(i, "all models"),
        key="of",
        bind="query-params",
        on_change=_from_the_start,
    )
    labels = right.segmented_control(
        "Feedback",
        LABELS,
        default=LABELS[0],
        required=True,
        key="labels",
        bind="query-params",
        on_change=_from_the_start,
    )
    cursor = st.query_params.get("cursor")
    page = client().predictions(
        model_id=model or None,
        with_feedback={"labelled": True, "not labelled": False}.get(labels),
        cursor=cursor,
        limit=PAGE,
    )
    if not page.items:
        empty("Nothing here", "Ask a model about an image; the answer comes here.")
    now = datetime.now(UTC)
    for row in page.items:
        _row(row, now, may_edit)
    with st.container(horizontal=True):
        if cursor and st.button("Newest", icon=":material/first_page:", key="newest"):
            _from_the_start()
            st.rerun()
        if page.next_cursor and st.button("Older", icon=":material/chevron_right:", key="older"):
            st.query_params["cursor"] = page.next_cursor
            st.rerun()


def _row(row: PredictionSummary, now: datetime, may_edit: bool) -> None:
    with (
        st.container(border=True, key=f"row-{row.id}"),
        st.container(horizontal=True, vertical_alignment="center"),
    ):
        if row.thumbnail_jpg:
            st.image(base64.b64decode(row.thumbnail_jpg), width=64, alt="The image, small")
        else:
            held = "held for now" if row.pictured else "not kept"
            st.markdown(f":material/hide_image: :small[{held}]", width=130)
        st.markdown(_sentence(row, now), width="stretch")
        if row.batch is not None and row.state == "succeeded":
            st.button("Open", key=f"open-{row.id}", on_click=_open, args=(row.batch,))
        if may_edit and st.button(
            "Forget",
            key=f"forget-{row.id}",
            icon=":material/delete:",
            help="Delete this answer now, and what was kept of its image.",
        ):
            client().delete_prediction(row.id)
            forget_answer(row.id)
            st.rerun()


def _sentence(row: PredictionSummary, now: datetime) -> str:
    when = f":small[{age(now, row.created_at)} ago]"
    asked = f":gray[{plain(row.model)}, {CAM_METHODS[row.method]}]{synthetic_badge(row.synthetic)}"
    if row.state == "failed":
        return f":red[:material/error: {plain(row.error or 'no answer')}]  \n{asked} {when}"
    if row.predicted is None:
        return f":material/schedule: waits for a prediction worker  \n{asked} {when}"
    label = ""
    if row.feedback is not None:
        verdict = ("green", "check") if row.feedback == row.predicted else ("red", "close")
        label = f" :{verdict[0]}-badge[:material/{verdict[1]}: labelled {plain(row.feedback)}]"
    kept = f"  \n:small[SHA-256 {row.sha256[:16]}…]" if row.sha256 else ""
    return f"**{plain(row.predicted)}** {row.probability or 0:.0%}{label}  \n{asked} {when}{kept}"


def labelled_set() -> None:
    """What people said images are, by task, to download in the layout that evaluations read."""
    st.markdown(
        "Images that somebody labelled on this page, with the label. The pictures are upright JPEGs of at most 1,024 "
        "pixels a side, without what the camera wrote into the file. An image that was labelled twice is there once, "
        "with its newest label."
    )
    counts = client().feedback_counts()
    if not counts:
        empty("No label yet", "Ask a model about an image, then say below its answer whether it is right.")
        return
    for task in dict.fromkeys(count.task for count in counts):
        rows = [count for count in counts if count.task == task]
        st.header(plain(task), anchor=False)
        total, wrong = sum(r.images for r in rows), sum(r.corrected for r in rows)
        st.markdown(f"{total} image{'' if total == 1 else 's'}, {wrong} of them corrected.")
        st.dataframe(
            [{"label": r.label, "images": r.images, "corrected": r.corrected} for r in rows], hide_index=True
        )
        vise = client()
        st.download_button(
            "Download as a labelled set (tar)",
            data=partial(vise.export_feedback, task),
            file_name=f"feedback-{_file_name(task)}.tar",
            mime="application/x-tar",
            icon=":material/download:",
            key=f"export-{task}",
            on_click="ignore",
        )
    st.caption(
        "labels.csv and images/: unpack it below the server's data root, register the folder as a data set of images, "
        "and evaluate on it with the task “csv”. Or leave it out of training as a test of your own."
    )


def _open(batch: UUID) -> None:
    """Show the questions that were asked together."""
    st.session_state["view"] = "Ask"
    st.session_state["sample"] = []
    st.query_params.pop("cursor", None)
    st.query_params["batch"] = str(batch)


def _from_the_start() -> None:
    st.query_params.pop("cursor", None)


def _file_name(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text).split()).lower() or "set"


def batch_of_address() -> UUID | None:
    """The batch that a link names."""
    try:
        return UUID(st.query_params.get("batch", ""))
    except ValueError:
        return None
