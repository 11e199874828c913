"""Results: the table of our own evaluations; figures of the paper are never mixed in."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from frontend.session import client, errors_as_sentences
from vise_core.report import build_table, render_table
from vise_core.specs.evaluate import EvaluateResult

st.title("Results")
st.write("Every succeeded evaluation of this system: our own runs, not the paper's figures.")
with errors_as_sentences():
    rows = list(client().iterate_runs(stage="evaluate", state=["succeeded"], all=True, limit=200))[:500]
    results = [EvaluateResult.model_validate(client().run(row.id).result) for row in rows]
    if not results:
        st.info("No evaluation has succeeded yet. The sample recipe on the page Home makes three.")
        st.stop()
    tasks = sorted({result.task for result in results})
    wanted = st.multiselect("Tasks", tasks, default=tasks)
    table = build_table([r for r in results if r.task in wanted]) if wanted else None
    if table is None:
        st.info("Choose a task.")
        st.stop()
    st.markdown(render_table(table, "markdown"))
    columns = st.columns(3)
    endings = {"markdown": "md", "csv": "csv", "latex": "tex"}
    formats: tuple[Literal["markdown", "csv", "latex"], ...] = ("markdown", "csv", "latex")
    for column, name in zip(columns, formats, strict=True):
        column.download_button(
            f"Export {name}", render_table(table, name), file_name=f"results.{endings[name]}"
        )
