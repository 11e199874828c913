"""The runs of a comparison: their names, their groups, and the parameters that differ."""

from __future__ import annotations

from typing import Any

from frontend.formatting import value_text
from vise_client.schemas.comparison import Comparison
from vise_core.specs.stages import STAGES

REPLICATES = {path for stage in STAGES.values() for path in (*stage.replicates, *stage.repeats)}
"""Fields in which replicates of one experiment differ."""

UNGROUPED, REPLICATED = "No grouping", "Replicates: same spec except seeds and splits"


def run_names(comparison: Comparison) -> list[str]:
    """Return the name of each run, with the end of its id, since names repeat."""
    return [f"{run.name} {str(run.id)[-4:]}" for run in comparison.runs]


def differing(comparison: Comparison) -> dict[str, list[Any]]:
    """Return {path: a value for each run} of the parameters that differ."""
    return {p.path: p.values for p in comparison.parameters if p.differs}


def group_options(comparison: Comparison) -> list[str]:
    """Return the options for grouping: none, replicates of one experiment, or a parameter that differs."""
    return [UNGROUPED, REPLICATED, *differing(comparison)]


def group_names(comparison: Comparison, by: str) -> list[str]:
    """Return the group of each run, named by the values that its members share.

    Evaluations of different data share none.
    """
    if by == UNGROUPED:
        return run_names(comparison)
    columns = differing(comparison)
    if by == REPLICATED:
        paths = [path for path in columns if path not in REPLICATES]
    else:
        paths = [by] if by in columns else []
    names = [
        ", ".join(f"{path.split('.')[-1]} {value_text(columns[path][i])}" for path in paths)[:120]
        or "all runs"
        for i in range(len(comparison.runs))
    ]
    several = len({run.data for run in comparison.runs if run.data}) > 1
    return [
        f"{name}, data {run.data[:8]}" if several and run.data else name
        for name, run in zip(names, comparison.runs, strict=True)
    ]
