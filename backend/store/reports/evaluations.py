"""Results of succeeded evaluations and comparisons, for tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
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
from vise_core.report.comparable import data_key
from vise_core.report.qualitative import Pictures
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData
from vise_core.specs.qualitative import QualitativeResult

MAX_RESULTS = 20_000
"""Number of newest results that tables use; older ones appear only if a tag selects them."""


class Identity(NamedTuple):
    """What an evaluation measures; of several runs with one identity, reports show the newest.

    ``measured`` identifies data and splits (``MeasuredOn.key``): results on other data do not replace each other.
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


# Cached, as the identity of a succeeded run never changes, and reading 10,000 results takes seconds.
# None: its result cannot be read.
_identities: dict[UUID, Identity | None] = {}


def results(
    db: Session, *, tag: str | None = None, synthetic: bool | None = None
) -> list[tuple[str, EvaluateResult]]:
    """Return (run id, result) of the newest succeeded evaluation of each identity, newest first.

    ``tag``: only runs with this tag, or whose recipe or sweep has it. ``synthetic``: only generated, or only real data.
    Results of other versions that today's schema cannot read are left out.
    """
    newest: dict[Identity, UUID] = {}
    for run, identity in _all(db, tag):
        if synthetic is None or identity.synthetic == synthetic:
            newest.setdefault(identity, run)
    rows = db.execute(select(Run.id, Run.result).where(Run.id.in_(newest.values())).order_by(Run.id.desc()))
    results = []
    for run_id, result in rows:
        try:
            results.append((str(run_id), EvaluateResult.model_validate(result)))
        except ValidationError:
            continue
    return results


def choices(db: Session) -> Choices:
    """Return the tasks, protocols, backbones, methods and tags of succeeded evaluations."""
    identities = {identity for _, identity in _all(db, None)}
    done = (Run.stage == "evaluate", Run.state == RunState.succeeded)
    tagged = or_(Run.id.in_(select(Run.id).where(*done)), Run.id.in_(select(Run.parent_id).where(*done)))
    tags = db.scalars(select(func.unnest(Run.tags)).where(tagged).distinct())
    return Choices(
        tasks=tuple(sorted({identity.task for identity in identities})),
        protocols=tuple(sorted({identity.protocol for identity in identities})),
        backbones=tuple(sorted({identity.backbone for identity in identities})),
        methods=tuple(sorted({identity.method for identity in identities})),
        tags=tuple(sorted(tags)),
    )


def _carries(tag: str) -> ColumnElement[bool]:
    """Condition: the run, or its recipe or sweep, has the tag."""
    parents = select(Run.id).where(Run.parent_id.is_(None), Run.tags.contains([tag]))
    return or_(Run.tags.contains([tag]), Run.parent_id.in_(parents))


def _all(db: Session, tag: str | None) -> list[tuple[UUID, Identity]]:
    """Return (run id, identity) of every succeeded evaluation whose result can be read, newest first."""
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
    return [(run, identity) for run in ids if (identity := _identities.get(run)) is not None]


def _read_identities(db: Session, run_ids: Sequence[UUID]) -> dict[UUID, Identity | None]:
    """Read the identities of runs from their results; None for a result of another version, without readable data."""
    texts = [Run.result[name].as_string() for name in TEXTS]
    data = Run.result["data"].as_json()
    rows = db.execute(
        select(Run.id, Run.result["synthetic"].as_boolean(), data, *texts).where(Run.id.in_(run_ids))
    ).all()
    identities: dict[UUID, Identity | None] = {}
    for run, flag, measured, *texts_read in rows:
        method, backbone, task, protocol, setup, metric = (str(fact or "") for fact in texts_read)
        try:
            key = data_key(EvaluationData.model_validate(measured))
        except ValidationError:
            identities[run] = None
            continue
        identities[run] = Identity(method, backbone, task, protocol, setup, metric, bool(flag), key)
    return identities


def result(db: Session, run_id: UUID, field: str) -> EvaluateResult:
    """Return the result of one run.

    Raises NotFound if no run has this id, and Invalid, with ``field``, if it is not a succeeded evaluation, or one whose
    result today's schema cannot read.
    """
    run = get_run(db, run_id)
    if run.stage != "evaluate" or run.result is None:
        raise Invalid(field, f"the run {run_id} is not a succeeded evaluation")
    try:
        return EvaluateResult.model_validate(run.result)
    except ValidationError as error:
        raise Invalid(
            field, f"the result of the run {run_id} was written by another version; run it again"
        ) from error


MAX_COMPARISONS = 200


def comparisons(
    db: Session, *, tag: str | None = None, synthetic: bool | None = None, run: UUID | None = None
) -> list[Comparison]:
    """Return succeeded comparisons of predictors, newest first, filtered as ``results``, or only the one of ``run``."""
    statement = select(Run).where(Run.stage == "qualitative", Run.state == RunState.succeeded)
    if tag is not None:
        statement = statement.where(_carries(tag))
    if run is not None:
        statement = statement.where(Run.id == run)
    comparisons = []
    for row in db.scalars(statement.order_by(Run.id.desc()).limit(MAX_COMPARISONS)):
        try:
            result = QualitativeResult.model_validate(row.result)
        except ValidationError:
            continue
        if synthetic is not None and result.synthetic != synthetic:
            continue
        sources = {role: ref["run"] for role, ref in row.inputs.items() if ref.get("run")}
        comparisons.append(Comparison(run=str(row.id), result=result, evaluations=sources))
    return comparisons


def pictures(db: Session, storage: Storage) -> Pictures:
    """Return a function that reads a picture of a comparison by run id and file name.

    It leaves no transaction open while the storage is read and the figure is drawn.
    """

    def read(run: str, file: str) -> bytes:
        artifact = artifacts.of_run(db, UUID(run), "comparison")
        digest = artifacts.file_digest(artifact, file)[1]
        db.close()
        return b"".join(storage.stream(digest))

    return read
