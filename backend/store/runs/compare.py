"""Compare runs side by side: parameters, metrics, and which parameters go with a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid
from backend.store.metrics.marks import not_finite_name
from backend.store.metrics.points import SYSTEM
from backend.store.metrics.tables import MetricLatest
from backend.store.registry import dataset_reads
from backend.store.runs.tables import Run
from vise_client.schemas.comparison import (
    ComparedRun,
    CompareQuery,
    Comparison,
    Parameter,
    ParameterImportance,
)
from vise_client.schemas.datasets import DatasetReadView
from vise_client.schemas.metrics import NotFinite
from vise_core.report.comparable import MeasuredOn, data_difference, measured_on, split_differences
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData
from vise_core.specs.paths import differing, flatten


def compare(db: Session, query: CompareQuery) -> Comparison:
    """Return the existing runs in the requested order, which is also the order of every list of values.

    A metric is the number in the run's result, else the last value of its curve. Raises Invalid if no run has it.
    """
    rows = {row.id: row for row in db.scalars(select(Run).where(Run.id.in_(query.run_ids)))}
    runs = [rows[i] for i in dict.fromkeys(query.run_ids) if i in rows]
    metrics: dict[str, list[float | None]] = {}
    not_finite: dict[str, dict[int, NotFinite]] = {}
    curves = set()
    positions = {run.id: position for position, run in enumerate(runs)}
    # Results before curves: a stage lists its main metric first.
    for run in runs:
        for key, value in run.headline.items():
            metrics.setdefault(key, [None] * len(runs))[positions[run.id]] = _finite(value)
    latest = db.execute(
        select(MetricLatest.run_id, MetricLatest.key, MetricLatest.value)
        .where(MetricLatest.run_id.in_(rows), MetricLatest.value.is_not(None))
        .where(~MetricLatest.key.startswith(SYSTEM, autoescape=True))
        .order_by(MetricLatest.key)
    )
    for run_id, key, last in latest:
        curves.add(key)
        column = metrics.setdefault(key, [None] * len(runs))
        if last is not None and key not in rows[run_id].headline:
            column[positions[run_id]] = _finite(last)
            if not math.isfinite(last):
                not_finite.setdefault(key, {})[positions[run_id]] = not_finite_name(last)
    if query.metric is not None and query.metric not in metrics:
        raise Invalid("metric", f"none of these runs has {query.metric!r}; they have {', '.join(metrics)}")
    names = _names(db, runs)
    reads = dataset_reads.views(db, [run.id for run in runs])
    flat = [_parameters(run, names, reads.get(run.id, {})) for run in runs]
    differ = set(differing(flat))
    parameters = {
        path: [spec.get(path) for spec in flat] for path in dict.fromkeys(p for spec in flat for p in spec)
    }
    from vise_core.report.importance import importance  # imports NumPy, which slows the start of the API

    measured = [_measured(run) for run in runs]
    data_of = [None if each is None else each.data for each in measured]
    groups = _comparable(runs, data_of)
    over = max(groups, key=len)  # of equally large groups, the newest
    importances = importance(
        {p: [v[i] for i in over] for p, v in parameters.items() if p in differ},
        [value for i, value in enumerate(metrics.get(query.metric or "", [])) if i in set(over)],
    )
    return Comparison(
        runs=[
            ComparedRun.of(
                run, data="" if data is None else f"{data.labels_digest} {data.texts_digest}".strip()
            )
            for run, data in zip(runs, data_of, strict=True)
        ],
        missing=[i for i in query.run_ids if i not in rows],
        parameters=[Parameter(path=p, differs=p in differ, values=v) for p, v in parameters.items()],
        metrics=metrics,
        not_finite=not_finite,
        curves=sorted(curves),
        importance=[ParameterImportance.of(each) for each in importances] if query.metric is not None else [],
        importance_over=[runs[i].id for i in over],
        not_compared=_not_compared(runs, measured),
    )


def _measured(run: Run) -> MeasuredOn | None:
    """Return what an evaluation was measured on; None for other stages, or if it has no valid result."""
    if run.stage != "evaluate" or run.result is None:
        return None
    try:
        return measured_on(EvaluateResult.model_validate(run.result))
    except ValidationError:
        return None


def _comparable(runs: Sequence[Run], measured: Sequence[EvaluationData | None]) -> list[list[int]]:
    """Return groups of positions of runs whose numbers may be compared: evaluations with the same data and splits.

    Runs of other stages, and those without a result, form one group. Groups are ordered by their newest run.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    key: tuple[str, ...]
    # Images alone and images with texts are the same data, unless there are several sets of texts.
    several_texts = len({data.texts_digest for data in measured if data and data.texts_digest}) > 1
    for position, data in enumerate(measured):
        key = ()
        if data is not None:
            key = (data.labels_digest, data.splits_digest, data.texts_digest if several_texts else "")
        groups.setdefault(key, []).append(position)
    return sorted(groups.values(), key=lambda places: max(runs[i].id for i in places), reverse=True) or [[]]


def _not_compared(runs: Sequence[Run], measured: Sequence[MeasuredOn | None]) -> list[str]:
    """Return why the numbers of some evaluations may not be compared, one sentence each."""
    variants: dict[str, tuple[MeasuredOn, list[str]]] = {}
    for run, data in zip(runs, measured, strict=True):
        if data is not None:
            variants.setdefault(data.key, (data, []))[1].append(f"{run.name} ({str(run.id)[-4:]})")
    reasons = []
    for data, names in list(variants.values())[1:]:
        first, others = next(iter(variants.values()))
        if difference := data_difference(data, first):
            reasons.append(f"{_some(names)}: {difference} than {_some(others)}")
        elif differences := split_differences(data, first):
            reasons.append(f"{_some(names)}: other splits than {_some(others)}: {'; '.join(differences)}")
    return reasons


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _parameters(run: Run, names: Mapping[str, str], reads: Mapping[str, DatasetReadView]) -> dict[str, Any]:
    """Return a run's flat spec and, as ``inputs.<role>``, the names of its inputs, data sets with their version."""
    inputs = {
        f"inputs.{role}": f"{reads[role].label} ({_short(reads[role])})"
        if role in reads
        else names.get(str(ref.get("run")), "deleted")
        for role, ref in run.inputs.items()
    }
    return inputs | flatten(run.spec)


def _short(read: DatasetReadView) -> str:
    """Return characters that differ if the content differs: of its digest, or of the data set's id."""
    return read.sha256[:12] if read.sha256 is not None else str(read.dataset_id)[-4:]


def _names(db: Session, runs: list[Run]) -> dict[str, str]:
    """Return {id: name and the end of the id} of all runs that these runs read."""
    run_ids = {str(ref["run"]) for run in runs for ref in run.inputs.values() if ref.get("run")}
    rows = db.execute(select(Run.id, Run.name).where(Run.id.in_(run_ids)))
    return {str(i): f"{name} ({str(i)[-4:]})" for i, name in rows}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
