"""Home: the state of the system, and where to begin."""

from __future__ import annotations

import streamlit as st

from frontend.components.run_rows import run_row, run_rows
from frontend.session import client, errors_as_sentences, may_edit
from vise_client.schemas import RecipeCreate, RunState

st.title("VisE Studio")
st.write("Learn image representations from visual engagement, and judge them on subjective vision tasks.")
user = st.session_state["user"]


@st.fragment(run_every=4)
def system_state() -> None:
    with errors_as_sentences():
        health = client().health()
        workers = [w for w in client().workers() if w.alive]
        queued = client().runs(state=["queued"], kind="stage", all=True, limit=200).items
        columns = st.columns(4)
        columns[0].metric("API and database", "up" if health.database else "down")
        columns[1].metric("Queue", "up" if health.broker else "down")
        columns[2].metric("Workers", len(workers))
        columns[3].metric("Waiting in line", len(queued))
        queues = {queue for worker in workers for queue in worker.queues}
        if queued and not queues & {run.queue for run in queued}:
            st.warning("No worker serves the queues that runs wait in. Start one with `vise worker`.")


@st.fragment(run_every=2)
def sample_progress() -> None:
    with errors_as_sentences():
        recent = [r for r in client().runs(kind="recipe", limit=5).items if r.synthetic]
        if not recent:
            return
        run = client().run(recent[0].id)
        if run.state.final and busy:
            st.rerun()  # the button above can be pressed again
        run_row(run)
        if not run.state.final:
            run_rows(run.children, mark=False)
        elif run.state is RunState.succeeded:
            st.page_link(
                "views/predict.py", label="Ask the model about an image", icon=":material/image_search:"
            )


system_state()
st.subheader("Try it with sample data")
st.write(
    "Generates synthetic posts, clusters their comments and reactions, pretrains a small network on the "
    "pseudo-labels, compares it with random and ImageNet features on six emotions, and makes the best one ready "
    "for your own images. Takes a few minutes on a laptop."
)
busy = False
if may_edit(user):
    with errors_as_sentences():
        # Looked up before the button is drawn, so that a second press cannot start a second one.
        going = client().runs(kind="recipe", state=["queued", "running"], limit=20).items
        busy = any(run.synthetic for run in going)
        label = "Sample recipe is running" if busy else "Try it with sample data"
        if st.button(label, type="primary", icon=":material/play_arrow:", disabled=busy, key="try-sample"):
            client().create_recipe(RecipeCreate(recipe="sample"))
            st.rerun()
else:
    st.info("Your role only reads. Ask an editor to start a run.")
sample_progress()

st.subheader("Recent runs")
with errors_as_sentences():
    latest = client().runs(limit=5).items
    if latest:
        run_rows(latest)
        st.page_link("views/runs.py", label="All runs", icon=":material/list:")
    else:
        st.info(
            "Nothing has run yet. Start with the sample data above, or launch a stage on the page Launch."
        )
