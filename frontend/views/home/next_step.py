"""The steps from posts to predictions, and a link to the next one."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from frontend.components.layout import link_to
from frontend.session import client


@dataclass(frozen=True)
class Step:
    """A step, finished once a run of ``stage`` has succeeded; the last one once a model is registered."""

    title: str
    label: str
    stage: str = ""


STEPS = (
    Step("Ingest posts", "Ingest posts", "ingest"),
    Step("Cluster the engagement of the posts", "Cluster", "cluster"),
    Step("Pretrain a backbone", "Pretrain", "pretrain"),
    Step("Evaluate the backbone on a task", "Evaluate", "evaluate"),
    Step("Classify images with a registered model", "Predict"),
)


def finished_steps() -> dict[Step, bool]:
    """Return the steps in order, and whether each is finished."""
    return {step: _finished(step.stage) for step in STEPS}


def next_step(finished: dict[Step, bool]) -> None:
    """Draw the list of steps, and a link to the page of the first that is not finished."""
    marks = {True: ":green[:material/check_circle:]", False: ":gray[:material/radio_button_unchecked:]"}
    lines = [f"{marks[done]} {s.title} :gray[{'done' if done else 'to do'}]" for s, done in finished.items()]
    st.markdown("  \n".join(lines))
    step = next((step for step, done in finished.items() if not done), STEPS[-1])
    if step.stage:
        link_to("launch", step.label, {"what": step.stage})
    else:
        link_to("predict", step.label)


def _finished(stage: str) -> bool:
    if not stage:
        return bool(client().models())
    return bool(client().runs(all=True, limit=1, stage=stage, state=["succeeded"]).items)
