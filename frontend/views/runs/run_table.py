"""The table of runs: rows of runs and of groups as plain data, and the component that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.formatting import duration, headline, number
from frontend.style import status_sentence, status_tone
from vise_client.schemas.run_lists import GroupMetric, RunGroup
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunSummary

_HERE = Path(__file__).parent
_draw = st.components.v2.component(
    "vise_run_table",
    css=(_HERE / "run_table.css").read_text(),
    js=(_HERE / "run_table.js").read_text(),
)
LABELS = {
    "name": "Run",
    "status": "Status",
    "result": "Result",
    "user": "Started by",
    "tag": "Tags",
    "created": "Created",
    "runs": "Runs",
}
SORTED_RUNS = ("name", "status", "stage", "created", "started", "finished", "duration")
SORTED_GROUPS = ("created", "stage", "runs")


@dataclass(frozen=True)
class Acted:
    """What somebody did in the table since the last run of the script; what they did not is None."""

    chosen: tuple[str, ...]
    sorted: str | None
    opened: str | None
    went: str | None
    starred: Mapping[str, Any] | None


def run_table(
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str],
    *,
    sort: str,
    grouped: bool,
    editable: bool,
    epoch: str,
    label: str,
) -> Acted:
    """Draw the table. A new ``epoch`` makes it forget what was chosen."""
    kinds = SORTED_GROUPS if grouped else SORTED_RUNS
    sortable = [c for c in columns if c in kinds or c.startswith(("spec.", "metric."))]
    data = {
        "rows": list(rows),
        "columns": [_column(c) for c in columns],
        # The state is what the status is sorted by.
        "sort": {"state": "status", "-state": "-status"}.get(sort, sort),
        "sortable": sortable,
        "grouped": grouped,
        "editable": editable,
        "epoch": epoch,
        "label": label,
    }
    said = _draw(
        key="run-table",
        data=data,
        default={"chosen": None},
        on_chosen_change=_nothing,
        on_sorted_change=_nothing,
        on_opened_change=_nothing,
        on_went_change=_nothing,
        on_starred_change=_nothing,
    )
    by, chosen = said.get("sorted"), said.get("chosen")
    return Acted(
        chosen=tuple(chosen["keys"]) if chosen and chosen["epoch"] == epoch else (),
        sorted={"status": "state", "-status": "-state"}.get(by, by) if by else None,
        opened=said.get("opened"),
        went=said.get("went"),
        starred=said.get("starred"),
    )


def run_data(run: RunSummary, columns: Sequence[str], *, member: bool = False) -> dict[str, Any]:
    """A run as a row."""
    return {
        "key": str(run.id),
        "kind": "member" if member else "run",
        "name": run.name,
        "href": f"run?run={run.id}",
        "starred": run.starred,
        "marks": _marks(run.synthetic, run.archived, run.kind if run.kind != "stage" else ""),
        "status": {
            "tone": status_tone(run.status.label),
            "label": run.status.label,
            "sentence": status_sentence(run),
            "traceback": run.status.traceback,
            "progress": _progress(run),
            "links": [{"href": f"run?run={r.id}", "name": f"open {r.name}"} for r in run.status.waits_for],
        },
        "cells": {c: cell for c in columns if (cell := _cell(run, c)) is not None},
    }


def group_data(group: RunGroup, columns: Sequence[str], *, open: bool) -> dict[str, Any]:
    """A group as a row: mean ± sample std (n), and what is missing from it."""
    done = group.succeeded >= group.requested
    all_of = f"all {group.requested} seeds and splits" if group.requested > 1 else ""
    sentence = group.warning or all_of
    if group.repeats:
        sentence = f"{sentence}; " if sentence else ""
        sentence += f"{group.repeats} repeated, of which the newest counts"
    live = any(not RunState(state).final for state in group.states)
    label = "complete" if done else "incomplete so far" if live else "incomplete"
    cells: dict[str, Any] = {
        "created": _time(group.created_at),
        "stage": {"text": group.stage},
        "runs": {"text": str(group.runs)},
        "tag": {"text": "", "tags": group.tags} if group.tags else None,
    }
    cells |= {name: {"text": spread(value), "title": _exact(value)} for name, value in group.metrics.items()}
    cells |= {name: {"text": written(value)} for name, value in group.columns.items()}
    return {
        "key": f"group:{group.group_key}",
        "kind": "group",
        "name": group.name,
        "open": open,
        "marks": _marks(group.synthetic, False, ""),
        "status": {
            "tone": "green" if done else "blue" if live else "orange",
            "label": label,
            "sentence": sentence,
        },
        "cells": {c: cells[c] for c in columns if cells.get(c) is not None},
    }


def spread(value: GroupMetric) -> str:
    """Mean ± sample std (n), the std with two digits and the mean with as many places."""
    if value.std is None:
        return f"{number(value.mean)} (n = 1)"
    places = 2
    if value.std > 0:
        places = max(0, min(6, 1 - int(f"{value.std:e}".partition("e")[2])))
    return f"{value.mean:.{places}f} ± {value.std:.{places}f} (n = {value.n})"


def written(value: Any) -> str:
    """A value of a spec or a metric."""
    if isinstance(value, list):
        return ", ".join(written(item) for item in value)
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _column(name: str) -> dict[str, Any]:
    label, numeric = LABELS.get(name, name.capitalize()), False
    note = ""
    if name.startswith("metric."):
        key, _, rule = name.removeprefix("metric.").partition(":")
        numeric, label = True, f"{key} · {rule}" if rule else key
        note = f"{key}: " + (rule or "final, the result's number or the last value")
    elif name.startswith("spec."):
        label, note = name.removeprefix("spec."), f"{name}: of the run's spec"
    return {"key": name, "label": label, "numeric": numeric, "help": note}


def _cell(run: RunSummary, name: str) -> dict[str, Any] | None:
    if name in run.columns:
        value = run.columns[name]
        return {"text": written(value), "title": str(value)}
    times = {
        "created": run.created_at,
        "started": run.started_at,
        "finished": run.finished_at,
        "heartbeat": run.heartbeat_at,
    }
    if name in times:
        return _time(times[name])
    if name == "duration":
        if run.started_at is None:
            return None
        return {"text": duration(((run.finished_at or datetime.now(UTC)) - run.started_at).total_seconds())}
    if name == "tag":
        return {"text": "", "tags": run.tags} if run.tags else None
    if name == "result":
        return {"text": headline(run.headline)} if run.headline else None
    values = {
        "user": run.created_by,
        "stage": run.stage or run.kind,
        "group": run.group_key,
        "parent": run.parent_id,
    }
    value = values.get(name, getattr(run, name, None))
    return None if value in (None, "") else {"text": str(value)}


def _progress(run: RunSummary) -> dict[str, Any] | None:
    progress = run.progress
    if run.state not in (RunState.running, RunState.cancelling) or progress is None or not progress.total:
        return None
    text = f"{progress.done:,.0f} of {progress.total:,.0f} {progress.unit}"
    return {"share": min(1.0, progress.done / progress.total), "text": text}


def _time(at: datetime | None) -> dict[str, Any] | None:
    if at is None:
        return None
    # Whole minutes: a cell that changes each second would never rest.
    minutes = int((datetime.now(UTC) - at).total_seconds() // 60)
    if minutes < 36 * 60:
        text = (
            "just now" if minutes < 1 else f"{minutes} min ago" if minutes < 60 else f"{minutes // 60} h ago"
        )
    else:
        text = f"{at:%Y-%m-%d %H:%M}"
    return {"text": text, "title": f"{at:%Y-%m-%d %H:%M:%S} UTC"}


def _marks(synthetic: bool, archived: bool, kind: str) -> list[tuple[str, str]]:
    marks = [("gray", kind)] if kind else []
    if synthetic:
        marks.append(("violet", "synthetic data"))
    if archived:
        marks.append(("gray", "archived"))
    return marks


def _exact(value: GroupMetric) -> str:
    std = "" if value.std is None else f" ± {value.std!r}, sample std"
    return f"{value.mean!r}{std}, over {value.n} values"


def _nothing() -> None:
    """Streamlit gives a component's values to the script only where they have a callback."""
