"""Results: the table of our own evaluations, and the paper's tables and figures made from them."""

from __future__ import annotations

import streamlit as st

from frontend.components.layout import page_title
from frontend.session import client, show_errors
from frontend.views.results.evaluations import TITLE, evaluation_table
from frontend.views.results.figure import paper_figure
from frontend.views.results.filters import filters
from frontend.views.results.qualitative import qualitative_figure
from frontend.views.results.table import paper_table

QUALITATIVE = ("figure7", "figure8")

page_title("Results", "Your own evaluations as one table, and as the paper's tables and figures.")
with show_errors():
    entries = {entry.title: entry for entry in client().reports()}
    title = st.selectbox("Show", [TITLE, *entries], key="show", bind="query-params")
    query = filters(client().report_choices())
    if title == TITLE:
        evaluation_table(query)
    else:
        entry = entries[title]
        st.markdown(f"{entry.caption}  \n:gray[The paper's caption. The numbers are from your own runs.]")
        if entry.kind == "table":
            paper_table(entry, query)
        elif entry.name in QUALITATIVE:
            qualitative_figure(entry, query)
        else:
            paper_figure(entry, query)
