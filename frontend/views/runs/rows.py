"""Runs and groups as the rows of the run table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from frontend.formatting import duration, headline, minute, number
from frontend.style import status_sentence, status_tone
from vise_client.schemas.run_lists import GroupMetric, RunGroup
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import RunSummary

Cell = dict[str, Any]
"""``text`` of a cell, its tooltip ``title``, and ``tags``, which are drawn as badges."""


def run_row(run: RunSummary, columns: Sequence[str], *, member: bool = False) -> dict[str, Any]:
    """Return a run as a row; a ``member`` is indented below its group."""
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
        "cells": {column: cell for column in columns if (cell := _cell(run, column)) is not None},
    }


def group_row(group: RunGroup, columns: Sequence[str], *, open: bool) -> dict[str, Any]:
    """Return a group as a row: mean ± sample standard deviation (n), and which replicates are missing."""
    done = group.succeeded >= group.requested
    sentence = group.warning or (f"all {group.requested} seeds and splits" if group.requested > 1 else "")
    if group.repeats:
        sentence += f"{'; ' if sentence else ''}{group.repeats} repeated: the newest of each is used"
    live = any(not RunState(state).final for state in group.states)
    cells: dict[str, Cell | None] = {
        "created": _time(group.created_at),
        "stage": {"text": group.stage},
        "runs": {"text": str(group.runs)},
        "tag": {"text": "", "tags": group.tags} if group.tags else None,
    }
    cells |= {
        name: {"text": spread(metric), "title": _exact(metric)} for name, metric in group.metrics.items()
    }
    cells |= {name: {"text": _value(value)} for name, value in group.columns.items()}
    return {
        "key": f"group:{group.group_key}",
        "kind": "group",
        "name": group.name,
        "open": open,
        "marks": _marks(group.synthetic, False, ""),
        "status": {
            "tone": "green" if done else "blue" if live else "orange",
            "label": "complete" if done else "not complete yet" if live else "incomplete",
            "sentence": sentence,
        },
        "cells": {column: cells[column] for column in columns if cells.get(column) is not None},
    }


def spread(metric: GroupMetric) -> str:
    """Return mean ± sample standard deviation (n), the latter with two digits and the mean with as many decimals."""
    if metric.std is None:
        return f"{number(metric.mean)} (n = 1)"
    decimals = 2
    if metric.std > 0:
        decimals = max(0, min(6, 1 - int(f"{metric.std:e}".partition("e")[2])))
    return f"{metric.mean:.{decimals}f} ± {metric.std:.{decimals}f} (n = {metric.n})"


def _exact(metric: GroupMetric) -> str:
    std = "" if metric.std is None else f" ± {metric.std!r}, sample std"
    return f"{metric.mean!r}{std}, over {metric.n} values"


def _value(value: Any) -> str:
    """The value of a spec field or of a metric."""
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _cell(run: RunSummary, column: str) -> Cell | None:
    if column in run.columns:
        value = run.columns[column]
        return {"text": _value(value), "title": str(value)}
    match column:
        case "created" | "started" | "finished" | "heartbeat":
            return _time(getattr(run, f"{column}_at"))
        case "duration":
            if run.started_at is None:
                return None
            return {
                "text": duration(((run.finished_at or datetime.now(UTC)) - run.started_at).total_seconds())
            }
        case "tag":
            return {"text": "", "tags": run.tags} if run.tags else None
        case "result":
            return {"text": headline(run.headline)} if run.headline else None
        case "stage":
            return {"text": run.stage or run.kind}
    names = {"user": "created_by", "group": "group_key", "parent": "parent_id"}
    value = getattr(run, names.get(column, column), None)
    return None if value in (None, "") else {"text": str(value)}


def _progress(run: RunSummary) -> dict[str, Any] | None:
    progress = run.progress
    if run.state not in (RunState.running, RunState.cancelling) or progress is None or not progress.total:
        return None
    text = f"{progress.done:,.0f} of {progress.total:,.0f} {progress.unit}"
    return {"share": min(1.0, progress.done / progress.total), "text": text}


def _time(at: datetime | None) -> Cell | None:
    """An age for the last 36 hours, else a date; in minutes, so that the cell rarely changes."""
    if at is None:
        return None
    minutes = int((datetime.now(UTC) - at).total_seconds() // 60)
    if minutes < 1:
        text = "just now"
    elif minutes < 60:
        text = f"{minutes} min ago"
    else:
        text = f"{minutes // 60} h ago" if minutes < 36 * 60 else minute(at)
    return {"text": text, "title": f"{at:%Y-%m-%d %H:%M:%S} UTC"}


def _marks(synthetic: bool, archived: bool, kind: str) -> list[tuple[str, str]]:
    """(colour, text) of the badges behind a name."""
    marks = [("gray", kind)] if kind else []
    if synthetic:
        marks.append(("violet", "synthetic data"))
    if archived:
        marks.append(("gray", "archived"))
    return marks
