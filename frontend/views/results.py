"""Results: the table of our own evaluations, and the paper's tables and figures filled by them."""

from __future__ import annotations

import streamlit as st

from frontend.session import client, errors_as_sentences
from vise_client.errors import ApiError
from vise_core.specs.reports import ENDINGS, ReportEntry, ReportFormat

ALL = "All evaluations"
TABLE_FORMATS: tuple[ReportFormat, ...] = ("markdown", "csv", "latex")


def all_evaluations() -> None:
    st.write("Every succeeded evaluation of this system: our own runs, not the paper's figures.")
    try:
        st.markdown(client().report("results", "markdown").decode())
    except ApiError as error:
        if error.problem.status != 404:
            raise
        st.info("No evaluation has succeeded yet. The sample recipe on the page Home makes three.")
        return
    downloads("results", {format: client().report("results", format) for format in TABLE_FORMATS})


def from_the_paper(entry: ReportEntry) -> None:
    st.write(f"{entry.caption}  \n:gray[The paper's caption. The numbers are our own runs'.]")
    left, right = st.columns(2)
    published = left.toggle(
        "Published numbers beside ours", key="published", help="The paper's own, marked as published."
    )
    only_run = entry.kind == "table" and right.toggle(
        "Only what was run",
        value=True,
        key="only-run",
        help="Off: every row of the paper, with what is missing.",
    )
    query = {"published": published, "only_run": only_run}
    files = {format: client().report(entry.name, format, **query) for format in entry.formats}
    if entry.kind == "figure":
        st.image(files["png"], width="stretch")
    else:
        if only_run and files["csv"].count(b"\n") <= 1:
            st.info(
                "Nothing of this table has been run yet. Launch the recipe that fills it on the page Launch."
            )
        st.markdown(files["markdown"].decode())
    downloads(entry.name, files)


def downloads(name: str, files: dict[ReportFormat, bytes]) -> None:
    for column, (format, content) in zip(st.columns(len(files)), files.items(), strict=True):
        column.download_button(f"Export {format}", content, file_name=f"{name}.{ENDINGS[format]}")


st.title("Results")
with errors_as_sentences():
    entries = {entry.title: entry for entry in client().reports()}
    asked = st.query_params.get("show", ALL)
    options = [ALL, *entries]
    choice = st.selectbox("Show", options, index=options.index(asked) if asked in options else 0)
    st.query_params["show"] = choice
    if choice == ALL:
        all_evaluations()
    else:
        from_the_paper(entries[choice])
