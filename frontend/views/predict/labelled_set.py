"""The labelled set: images with the labels that users gave them, to download for an evaluation."""

from __future__ import annotations

from functools import partial

import streamlit as st

from frontend.components.layout import empty
from frontend.components.table import show_rows
from frontend.formatting import count, plain
from frontend.session import client


def labelled_set() -> None:
    """Draw the number of images of each label by task, and the download of each task."""
    st.markdown(
        "Images that users labelled on this page. Each is an upright JPEG of at most 1,024 pixels a side, without "
        "metadata. An image with several labels appears once, with its newest label."
    )
    counts = client().feedback_counts()
    if not counts:
        empty(
            "No labelled images yet", "Label an image below its prediction; it appears here with its label."
        )
        return
    for task in dict.fromkeys(entry.task for entry in counts):
        rows = [entry for entry in counts if entry.task == task]
        st.header(plain(task), anchor=False)
        total, corrected = sum(row.images for row in rows), sum(row.corrected for row in rows)
        st.markdown(f"{count(total, 'image')}, {corrected:,} of them corrected.")
        table = [{"label": row.label, "images": row.images, "corrected": row.corrected} for row in rows]
        show_rows(table, hide_index=True)
        st.download_button(
            "Download labelled set (tar)",
            data=partial(client().export_feedback, task),
            file_name=f"feedback-{_file_name(task)}.tar",
            mime="application/x-tar",
            icon=":material/download:",
            key=f"export-{task}",
            on_click="ignore",
        )
    st.caption(
        "The archive contains labels.csv and images/. Unpack it below the server's data root, register the folder as a "
        "data set of labelled images, and evaluate on it with the task “csv”; or use it as a test set of your own."
    )


def _file_name(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text).split()).lower() or "set"
