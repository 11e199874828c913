"""Results of evaluations, for tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.runs.read import get_run
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState
from vise_core.report import Choices, Comparison
from vise_core.report.comparable import MeasuredOn
from vise_core.report.qualitative import Pictures
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData
from vise_core.specs.qualitative import QualitativeResult

MAX_RESULTS = 20_000
"""Newest first; whatever is older appears in no table unless a tag selects it."""


class Identity(NamedTuple):
    """What an evaluation is of. Of several runs of one identity the newest counts.

    ``measured`` stands for its data and splits (``MeasuredOn.key``): a newer result of other data hides no older one.
    """

    method: str
    backbone: str
    task: str
    protocol: str
    setup: str
    metric: str
    synthetic: bool
    measured: str


TEXTS = Identity._fields[:6]


# What a succeeded run is of never changes, and reading it out of 10,000 results takes seconds.
_identities: dict[UUID, Identity] = {}


def results(
    db: Session, *, tag: str | None = None, synthetic: bool | None = None
) -> list[tuple[str, EvaluateResult]]:
    """(run id, result): of each method, backbone, task, protocol, setup, metric, data and splits the newest one.

    Of succeeded evaluations. ``tag``: only of runs that carry it, or whose recipe or sweep does. ``synthetic``: only of
    generated, or only of real data. Newest first. A result that today's schema cannot read, from an older version, is
    left out.
    """
    newest: dict[Identity, UUID] = {}
    for run, identity in _all(db, tag):
        if synthetic is None or identity.synthetic == synthetic:
            newest.setdefault(identity, run)
    rows = db.execute(select(Run.id, Run.result).where(Run.id.in_(newest.values())).order_by(Run.id.desc()))
    found = []
    for run_id, result in rows:
        try:
            found.append((str(run_id), EvaluateResult.model_validate(result)))
        except ValidationError:
            continue
    return found


def choices(db: Session) -> Choices:
    """What succeeded evaluations are of, and the tags that they carry."""
    identities = {identity for _, identity in _all(db, None)}
    done = (Run.stage == "evaluate", Run.state == RunState.succeeded)
    tagged = or_(Run.id.in_(select(Run.id).where(*done)), Run.id.in_(select(Run.parent_id).where(*done)))
    tags = db.scalars(select(func.unnest(Run.tags)).where(tagged).distinct())
    return Choices(
        tasks=tuple(sorted({one.task for one in identities})),
        protocols=tuple(sorted({one.protocol for one in identities})),
        backbones=tuple(sorted({one.backbone for one in identities})),
        methods=tuple(sorted({one.method for one in identities})),
        tags=tuple(sorted(tags)),
    )


def _carries(tag: str) -> ColumnElement[bool]:
    """Whether a run, or the recipe or sweep that it belongs to, has the tag."""
    parents = select(Run.id).where(Run.parent_id.is_(None), Run.tags.contains([tag]))
    return or_(Run.tags.contains([tag]), Run.parent_id.in_(parents))


def _all(db: Session, tag: str | None) -> list[tuple[UUID, Identity]]:
    """Every succeeded evaluation, newest first."""
    statement = select(Run.id).where(Run.stage == "evaluate", Run.state == RunState.succeeded)
    if tag is not None:
        statement = statement.where(_carries(tag))
    ids = db.scalars(statement.order_by(Run.id.desc()).limit(MAX_RESULTS)).all()
    unknown = [run for run in ids if run not in _identities]
    if unknown:
        if len(_identities) > 10 * MAX_RESULTS:
            _identities.clear()
            unknown = list(ids)
        _identities.update(_read_identities(db, unknown))
    return [(run, _identities[run]) for run in ids if run in _identities]


def _read_identities(db: Session, run_ids: Sequence[UUID]) -> dict[UUID, Identity]:
    texts = [Run.result[name].as_string() for name in TEXTS]
    data = Run.result["data"].as_json()
    rows = db.execute(
        select(Run.id, Run.result["synthetic"].as_boolean(), data, *texts).where(Run.id.in_(run_ids))
    ).all()
    older = _measured_unrecorded(db, [run for run, _, measured, *_ in rows if measured is None])
    found = {}
    for run, flag, measured, *facts in rows:
        method, backbone, task, protocol, setup, metric = (str(fact or "") for fact in facts)
        key = older[run] if measured is None else recorded_on(measured).key
        found[run] = Identity(
            method, backbone, task, protocol, setup or "image", metric or "accuracy", bool(flag), key
        )
    return found


def _measured_unrecorded(db: Session, run_ids: Sequence[UUID]) -> dict[UUID, str]:
    """{run: what stands for data and splits} of results that do not record them, from older versions."""
    if not run_ids:
        return {}
    folder = Run.result["provenance"]["inputs"]["dataset"].as_string()
    rows = db.execute(select(Run.id, folder, Run.result["splits"].as_json()).where(Run.id.in_(run_ids)))
    return {
        run: MeasuredOn(
            data=None,
            classes=(),
            parts=(),
            sizes=tuple(tuple(split.get("sizes", (0, 0, 0))) for split in splits or ()),
            folder=digest or "",
        ).key
        for run, digest, splits in rows
    }


def recorded_on(data: dict[str, Any]) -> MeasuredOn:
    """What a result's field ``data`` says; without the parts of splits, which the digests stand for."""
    return MeasuredOn(data=EvaluationData.model_validate(data), classes=(), parts=(), sizes=())


def result(db: Session, run_id: UUID, field: str) -> EvaluateResult:
    """One run's result. Raises NotFound; Invalid where it is no succeeded evaluation."""
    run = get_run(db, run_id)
    if run.stage != "evaluate" or run.result is None:
        raise Invalid(field, f"the run {run_id} is not a succeeded evaluation")
    return EvaluateResult.model_validate(run.result)


MAX_COMPARISONS = 200


def comparisons(
    db: Session, *, tag: str | None = None, synthetic: bool | None = None, run: UUID | None = None
) -> list[Comparison]:
    """Succeeded comparisons of predictors, newest first; narrowed as ``results``, or the one of ``run``."""
    statement = select(Run).where(Run.stage == "qualitative", Run.state == RunState.succeeded)
    if tag is not None:
        statement = statement.where(_carries(tag))
    if run is not None:
        statement = statement.where(Run.id == run)
    found = []
    for row in db.scalars(statement.order_by(Run.id.desc()).limit(MAX_COMPARISONS)):
        try:
            result = QualitativeResult.model_validate(row.result)
        except ValidationError:
            continue
        if synthetic is not None and result.synthetic != synthetic:
            continue
        sources = {role: ref["run"] for role, ref in row.inputs.items() if ref.get("run")}
        found.append(Comparison(run=str(row.id), result=result, evaluations=sources))
    return found


def pictures(db: Session, storage: Storage) -> Pictures:
    """How to read the pictures of comparisons."""

    def read(run: str, file: str) -> bytes:
        artifact = artifacts.of_run(db, UUID(run), "comparison")
        return b"".join(storage.stream(artifacts.file_digest(artifact, file)[1]))

    return read
