"""Runs: the live list."""

from __future__ import annotations

import streamlit as st

from frontend.components.run_rows import run_row
from frontend.session import client, errors_as_sentences
from vise_client.schemas import RunState

st.title("Runs")
query = st.query_params
columns = st.columns([3, 2, 2, 1], vertical_alignment="bottom")
search = columns[0].text_input("Search", query.get("search", ""), placeholder="name or tag")
states = columns[1].multiselect(
    "State", [s.value for s in RunState], default=[s for s in query.get_all("state") if s in list(RunState)]
)
kinds = ["all", "ingest", "cluster", "label", "pretrain", "evaluate", "explain"]
wanted = query.get("stage", "all")
stage = columns[2].selectbox("Stage", kinds, index=kinds.index(wanted) if wanted in kinds else 0)
nested = columns[3].checkbox(
    "Steps too", query.get("all") == "true", help="Also the runs inside recipes and sweeps."
)
# The address carries the view: a link or a reload shows the same.
filters = {
    "search": search,
    "state": states,
    "stage": None if stage == "all" else stage,
    "all": nested or None,
}
shown: dict[str, str | list[str]] = {
    key: value if isinstance(value, list) else str(value)
    for key, value in (filters | {"all": "true" if nested else None}).items()
    if value
}
if "cursor" in query:
    shown["cursor"] = query["cursor"]
st.query_params.from_dict(shown)


@st.fragment(run_every=3)
def listing() -> None:
    with errors_as_sentences():
        page = client().runs(**filters, cursor=query.get("cursor"), limit=20)
        if not page.items:
            st.info("No run fits. Change the filters, or start one on the page Launch.")
        chosen = []
        for run in page.items:
            box, row = st.columns([1, 24], vertical_alignment="center")
            if box.checkbox("Choose to compare", key=f"choose-{run.id}", label_visibility="collapsed"):
                chosen.append(str(run.id))
            with row:
                run_row(run)
        if len(chosen) > 1:
            label, icon = f"Compare the {len(chosen)} chosen runs", ":material/compare_arrows:"
            st.page_link("views/compare.py", label=label, icon=icon, query_params={"run": chosen})
        if page.next_cursor and st.button("Older runs", icon=":material/arrow_forward:"):
            st.query_params["cursor"] = page.next_cursor
            st.rerun()


if "cursor" in query and st.button("Newest runs", icon=":material/first_page:"):
    del st.query_params["cursor"]
    st.rerun()
listing()
