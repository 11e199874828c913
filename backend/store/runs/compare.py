"""Many runs side by side, as columns: their parameters, their metrics, and which of the two go together."""

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
from vise_client.schemas.run_states import RunState
from vise_core.report.comparable import (
    NOT_RECORDED,
    MeasuredOn,
    data_difference,
    measured_on,
    split_differences,
)
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.paths import differing, flatten


def compare(db: Session, query: CompareQuery) -> Comparison:
    """The runs that there are, in the order asked for; every list of values has their order.

    A metric is what the run's result says of it, else the last value of its curve. Raises Invalid for a metric that none has.
    """
    rows = {row.id: row for row in db.scalars(select(Run).where(Run.id.in_(query.run_ids)))}
    found = [rows[i] for i in dict.fromkeys(query.run_ids) if i in rows]
    metrics: dict[str, list[float | None]] = {}
    not_finite: dict[str, dict[int, NotFinite]] = {}
    curves = set()
    place = {run.id: position for position, run in enumerate(found)}
    # What results say comes first: a stage names its most telling number first.
    for run in found:
        for key, value in run.headline.items():
            metrics.setdefault(key, [None] * len(found))[place[run.id]] = _finite(value)
    latest = db.execute(
        select(MetricLatest.run_id, MetricLatest.key, MetricLatest.value)
        .where(MetricLatest.run_id.in_(rows), MetricLatest.value.is_not(None))
        .where(~MetricLatest.key.startswith(SYSTEM, autoescape=True))
        .order_by(MetricLatest.key)
    )
    for run_id, key, last in latest:
        curves.add(key)
        column = metrics.setdefault(key, [None] * len(found))
        if last is not None and key not in rows[run_id].headline:
            column[place[run_id]] = _finite(last)
            if not math.isfinite(last):
                not_finite.setdefault(key, {})[place[run_id]] = not_finite_name(last)
    if query.metric is not None and query.metric not in metrics:
        raise Invalid("metric", f"none of these runs has {query.metric!r}; they have {', '.join(metrics)}")
    names = _names(db, found)
    reads = dataset_reads.views(db, [run.id for run in found])
    flat = [_parameters(run, names, reads.get(run.id, {})) for run in found]
    differ = set(differing(flat))
    parameters = {
        path: [spec.get(path) for spec in flat] for path in dict.fromkeys(p for spec in flat for p in spec)
    }
    from vise_core.report.importance import importance  # NumPy imports for long; the API starts without it

    measured = [_measured(run) for run in found]
    groups = _comparable(found, measured)
    over = max(groups, key=len)  # of equally many the first, which is the newest
    told = importance(
        {p: [v[i] for i in over] for p, v in parameters.items() if p in differ},
        [value for i, value in enumerate(metrics.get(query.metric or "", [])) if i in set(over)],
    )
    return Comparison(
        runs=[
            ComparedRun(
                id=run.id,
                name=run.name,
                stage=run.stage,
                state=RunState(run.state),
                tags=run.tags,
                synthetic=run.synthetic,
                created_at=run.created_at,
                data="" if of is None else f"{of.data_digest} {of.texts_digest}".strip(),
            )
            for run, of in zip(found, measured, strict=True)
        ],
        missing=[i for i in query.run_ids if i not in rows],
        parameters=[Parameter(path=p, differs=p in differ, values=v) for p, v in parameters.items()],
        metrics=metrics,
        not_finite=not_finite,
        curves=sorted(curves),
        importance=[
            ParameterImportance(
                path=each.path,
                rank_correlation=each.rank_correlation,
                variance_share=each.variance_share,
                runs=each.runs,
            )
            for each in told
        ]
        if query.metric is not None
        else [],
        importance_over=[found[i].id for i in over],
        not_compared=_not_compared(found, measured),
    )


def _measured(run: Run) -> MeasuredOn | None:
    """What an evaluation was measured on; None where it has no result yet, and for other stages."""
    if run.stage != "evaluate" or run.result is None:
        return None
    try:
        return measured_on(EvaluateResult.model_validate(run.result))
    except ValidationError:
        return None


def _comparable(runs: Sequence[Run], measured: Sequence[MeasuredOn | None]) -> list[list[int]]:
    """Places of the runs whose numbers may be compared, of evaluations: those of the same data and splits.

    Runs of other stages, and those without a result, are compared where a request names them together. Groups come in
    the order of their newest run.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    several_texts = len({of.texts_digest for of in measured if of is not None and of.texts_digest}) > 1
    for place, (run, of) in enumerate(zip(runs, measured, strict=True)):
        if of is None:
            key: tuple[str, ...] = ()
        elif not of.recorded:
            key = (str(run.id),)
        else:
            # Images alone beside images and texts: the same data, unless there are several texts.
            key = (of.data_digest, of.splits_digest, of.texts_digest if several_texts else "")
        groups.setdefault(key, []).append(place)
    return sorted(groups.values(), key=lambda places: max(runs[i].id for i in places), reverse=True) or [[]]


def _not_compared(runs: Sequence[Run], measured: Sequence[MeasuredOn | None]) -> list[str]:
    """Why the numbers of some evaluations may not be compared, one sentence each; nothing where all may."""
    variants: dict[str, tuple[MeasuredOn, list[str]]] = {}
    for run, of in zip(runs, measured, strict=True):
        if of is not None:
            variants.setdefault(of.key, (of, []))[1].append(f"{run.name} ({str(run.id)[-4:]})")
    told = []
    recorded = [(one, names) for one, names in variants.values() if one.recorded]
    for one, names in recorded[1:]:
        first, others = recorded[0]
        if difference := data_difference(one, first):
            told.append(f"{_some(names)}: {difference} than {_some(others)}")
        elif differences := split_differences(one, first):
            told.append(f"{_some(names)}: other splits than {_some(others)}: {'; '.join(differences)}")
    unrecorded = [name for one, names in variants.values() if not one.recorded for name in names]
    return told + ([f"{_some(unrecorded)}: {NOT_RECORDED}"] if unrecorded else [])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _parameters(run: Run, names: Mapping[str, str], reads: Mapping[str, DatasetReadView]) -> dict[str, Any]:
    """The run's spec and, as ``inputs.<role>``, the names of what it reads, of a data set with the version."""
    inputs = {
        f"inputs.{role}": f"{reads[role].label} ({_short(reads[role])})"
        if role in reads
        else names.get(str(ref.get("run")), "deleted")
        for role, ref in run.inputs.items()
    }
    return inputs | flatten(run.spec)


def _short(read: DatasetReadView) -> str:
    """Characters that differ where the content does: of its digest, or of the data set's id."""
    return read.sha256[:12] if read.sha256 is not None else str(read.dataset_id)[-4:]


def _names(db: Session, found: list[Run]) -> dict[str, str]:
    """{id: name and the end of the id} of all runs that these read."""
    wanted = {str(ref["run"]) for run in found for ref in run.inputs.values() if ref.get("run")}
    rows = db.execute(select(Run.id, Run.name).where(Run.id.in_(wanted)))
    return {str(i): f"{name} ({str(i)[-4:]})" for i, name in rows}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
