"""Home: what the system is doing, what it has found, and the next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from frontend.components.layout import empty, page_title, problem
from frontend.components.run_rows import run_lines, run_row, run_rows
from frontend.navigation import PAGES
from frontend.session import can_edit, client, show_errors
from vise_client.schemas.launch import RecipeCreate
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunSummary

GOING = [s.value for s in RunState if not s.final]
SAMPLE = "sample"
"""The recipe behind the button."""


@dataclass(frozen=True)
class Step:
    """One step of the way from posts to predictions, and the page where it is taken."""

    done: bool
    what: str
    page: str
    label: str
    query: dict[str, str] | None = None


def newest(limit: int = 1, **query: Any) -> list[RunSummary]:
    return client().runs(all=True, limit=limit, **query).items


def way() -> list[Step]:
    """The steps, each with whether it has been taken."""

    def succeeded(stage: str) -> bool:
        return bool(newest(stage=stage, state=["succeeded"]))

    launch = {stage: {"what": stage} for stage in ("ingest", "cluster", "pretrain", "evaluate")}
    return [
        Step(succeeded("ingest"), "Bring in posts", "launch", "Ingest posts", launch["ingest"]),
        Step(succeeded("cluster"), "Cluster engagement", "launch", "Cluster", launch["cluster"]),
        Step(succeeded("pretrain"), "Pretrain a backbone", "launch", "Pretrain", launch["pretrain"]),
        Step(succeeded("evaluate"), "Evaluate it on a task", "launch", "Evaluate", launch["evaluate"]),
        Step(
            bool(client().models()), "Ask a model about an image", "predict", "Ask the model about an image"
        ),
    ]


@st.fragment(run_every=4)
def system_state() -> None:
    with show_errors():
        health = client().health()
        workers = [w for w in client().workers() if w.alive]
        queued = newest(200, state=["queued"], kind="stage")
        with st.container(horizontal=True):
            for label, value in (
                ("API and database", "up" if health.database else "down"),
                ("Queue", "up" if health.broker else "down"),
                ("Workers", str(len(workers))),
                ("Waiting in line", str(len(queued)) + ("+" if len(queued) == 200 else "")),
            ):
                st.metric(label, value, border=True, width=170)
        served = {queue for worker in workers for queue in worker.queues}
        alone = sorted({run.queue for run in queued} - served)
        if alone:
            problem(f"No worker serves the queue {', '.join(alone)}.", "Start one with `vise worker`.")


@st.fragment(run_every=2)
def at_work() -> None:
    """Runs that are not final, and the steps of the newest."""
    with show_errors():
        going = client().runs(state=GOING, limit=5).items
        if busy and not any(run.kind == "recipe" and run.synthetic for run in going):
            st.rerun()  # The sample recipe has ended: its button and the results below come back.
        if not going:
            st.caption("Nothing runs at the moment.")
        for position, run in enumerate(going):
            run_row(run)
            if position == 0 and run.kind != "stage":
                run_lines(client().run(run.id).children)


def sample_data() -> None:
    """The whole way at one press."""
    st.header("Try it with sample data", anchor=False)
    st.write(
        "Generates synthetic posts, clusters their comments and reactions, pretrains a small network on the "
        "pseudo-labels, compares it with random and ImageNet features on six emotions, and makes the best one "
        "ready for your own images. Takes a few minutes on a laptop."
    )
    if can_edit():
        label = "Sample recipe is running" if busy else "Try it with sample data"
        if st.button(
            label,
            type="secondary" if steps[-1].done else "primary",
            icon=":material/play_arrow:",
            disabled=busy,
            key="try-sample",
        ):
            client().create_recipe(RecipeCreate(recipe=SAMPLE))
            st.rerun()
    else:
        st.info("Your role only reads. Ask an editor to start a run.")


def next_step() -> None:
    undone = [step for step in steps if not step.done]
    marks = {True: ":green[:material/check_circle:]", False: ":gray[:material/radio_button_unchecked:]"}
    lines = [f"{marks[s.done]} {s.what} :gray[{'done' if s.done else 'to do'}]" for s in steps]
    st.markdown("  \n".join(lines))
    step = undone[0] if undone else steps[-1]
    entry = PAGES[step.page]
    st.page_link(entry.view, label=step.label, icon=entry.icon, query_params=step.query)


page_title(
    "VisE Studio",
    "Learn image representations from visual engagement, and judge them on subjective vision tasks.",
)
busy = False
with show_errors():
    system_state()
    # Looked up before the button is drawn, so that a second press cannot start a second one.
    busy = any(run.synthetic for run in client().runs(kind="recipe", state=GOING, limit=20).items)
    steps = way()
    new = not any(step.done for step in steps)
    # On a phone the first column stands first: for who is new that is where to begin.
    begin, work = st.columns([2, 3], gap="large") if new else st.columns([3, 2], gap="large")[::-1]
    with begin:
        if new:
            sample_data()
        st.header("Next step", anchor=False)
        next_step()
        if not new:
            sample_data()
    with work:
        st.header("Running now", anchor=False)
        at_work()
        st.header("Recent results", anchor=False)
        found = newest(4, stage="evaluate", state=["succeeded"])
        run_rows(found)
        if found:
            results = PAGES["results"]
            st.page_link(results.view, label="All results", icon=results.icon)
        else:
            empty(
                "No evaluation yet",
                "The numbers of the newest will stand here.",
                page="launch",
                label="Launch an evaluation",
                query={"what": "evaluate"},
            )
        st.header("Recent runs", anchor=False)
        latest = client().runs(limit=5).items
        run_rows(latest)
        if latest:
            st.page_link(PAGES["runs"].view, label="All runs", icon=PAGES["runs"].icon)
        else:
            empty("Nothing has run yet", "Begin with the sample data, or launch a stage.", page="launch")
