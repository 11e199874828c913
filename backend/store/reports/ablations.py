"""Ablations: a baseline, its one-factor differences, and the runs that were found for each."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.registry import dataset_reads
from backend.store.reports.tables import Ablation
from backend.store.runs.create import create_recipe
from backend.store.runs.lineage_match import Change, Node, chain, matches, value_at
from backend.store.runs.tables import Run
from vise_client.schemas.ablations import (
    AblationCreate,
    AblationPoint,
    AblationSummary,
    AblationUpdate,
    AblationView,
)
from vise_client.schemas.launch import RecipeCreate
from vise_client.schemas.run_states import RunState
from vise_core.report.comparable import data_difference, measured_on, split_differences
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.recipes.ablation_kinds import (
    ABLATION_KINDS,
    AblationKind,
    Changes,
    Kind,
    point_label,
    point_position,
)
from vise_core.specs.recipes.recipe import RecipeSpec
from vise_core.specs.stages import STAGES

from . import evaluations

TAG = "ablation"


def create(db: Session, request: AblationCreate, user: UUID | None) -> Ablation:
    """Raises NotFound, Invalid (the baseline does not fit the kind, or a value is refused), Conflict (the name)."""
    kind = ABLATION_KINDS[request.kind]
    node = _baseline(db, request.baseline, kind)
    changes = _checked(node, kind, request.changes) if request.changes else _defaults(node, kind)
    made = Ablation(
        name=request.name, kind=request.kind, baseline_id=request.baseline, changes=changes, created_by=user
    )
    db.add(made)
    _named_once(db, request.name)
    return made


def update(db: Session, ablation_id: UUID, request: AblationUpdate) -> Ablation:
    """Another name, other points. Raises as ``create``."""
    ablation = get(db, ablation_id)
    if request.changes is not None:
        kind = _kind(ablation)
        ablation.changes = _checked(_baseline(db, ablation.baseline_id, kind), kind, request.changes)
    if request.name is not None:
        ablation.name = request.name
    _named_once(db, ablation.name)
    return ablation


def get(db: Session, ablation_id: UUID) -> Ablation:
    ablation = db.get(Ablation, ablation_id)
    if ablation is None:
        raise NotFound(f"there is no ablation {ablation_id}")
    return ablation


def delete(db: Session, ablation_id: UUID) -> None:
    """Forget it; its runs stay."""
    db.delete(get(db, ablation_id))


def list_all(db: Session, limit: int = 500) -> list[AblationSummary]:
    """The newest first."""
    rows = db.execute(
        select(Ablation, User.email)
        .outerjoin(User, User.id == Ablation.created_by)
        .order_by(Ablation.id.desc())
        .limit(limit)
    )
    return [_summary(ablation, email) for ablation, email in rows]


def view(db: Session, ablation_id: UUID) -> AblationView:
    """With the best run of each point that there is: succeeded, else under way, else failed."""
    ablation = get(db, ablation_id)
    kind = _kind(ablation)
    node = _baseline(db, ablation.baseline_id, kind)
    baseline = evaluations.result(db, ablation.baseline_id, "baseline")
    user = db.get(User, ablation.created_by) if ablation.created_by else None
    points = [
        _point(db, node, kind, number, changes, baseline) for number, changes in enumerate(ablation.changes)
    ]
    return AblationView(
        **_summary(ablation, user.email if user else None).model_dump(),
        title=kind.title,
        axis=kind.axis,
        log=kind.log,
        method=baseline.method,
        backbone=baseline.backbone,
        task=baseline.task,
        protocol=baseline.protocol,
        metric=baseline.metric,
        on="val" if baseline.test_mean is None else "test",
        synthetic=baseline.synthetic,
        measured=measured_on(baseline).key,
        recorded=baseline.data is not None,
        points=points,
    )


def launch(db: Session, ablation_id: UUID, number: int, user: UUID | None) -> Run:
    """Start what fills a missing point: a recipe of the steps that differ, on the runs that do not.

    Raises NotFound; Conflict where a run fills it or is about to.
    """
    ablation = get(db, ablation_id)
    if not 0 <= number < len(ablation.changes):
        raise NotFound(f"the ablation has no point {number}; it has {len(ablation.changes)}, counted from 0")
    kind = _kind(ablation)
    node = _baseline(db, ablation.baseline_id, kind)
    change = Change(kind.stage, ablation.changes[number])
    baseline = evaluations.result(db, ablation.baseline_id, "baseline")
    if any(not _not_comparable(run, baseline) for run in matches(db, node, change)):
        raise Conflict("a run fills this point already, or is about to")
    label = point_label(kind, _values(node, kind, ablation.changes[number]))
    method = kind.methods.get(label) or f"{baseline.method}, {label}"[:80]
    steps: dict[str, Any] = {}
    made: dict[UUID, str] = {}

    def source(one: Node) -> dict[str, Any]:
        """Where the counterpart of a node comes from: a run that there is, or a new step."""
        # Evaluations that may not be compared with the baseline do not fill the point.
        found = [] if one is node else matches(db, one, change)
        if found:
            return {"run": found[0].id}
        if one.run.id not in made:
            require_same_data(db, one)
            inputs: dict[str, Any] = {role: {"dataset": dataset} for role, dataset in one.datasets.items()}
            for role, (node_read, artifact) in one.sources.items():
                inputs[role] = source(node_read) | {"artifact": artifact}
            stage, spec = one.run.stage or "", change.spec(one)
            if stage == "evaluate":
                spec["method"] = method
            made[one.run.id] = stage if stage not in steps else f"{stage} {len(steps)}"
            title = f"{STAGES[stage].title}, {label}"
            steps[made[one.run.id]] = {"stage": stage, "title": title, "spec": spec, "inputs": inputs}
        return {"step": made[one.run.id]}

    source(node)
    recipe = RecipeSpec(
        title=f"{ablation.name}: {label}",
        description=f"Fills a point of the ablation {ablation.name}.",
        synthetic=node.run.synthetic,
        steps=steps,
    )
    return create_recipe(db, RecipeCreate(spec=recipe, tags=[TAG]), user)


def require_same_data(db: Session, node: Node) -> None:
    """Raises Conflict where a new run would read another content of a data set than the node's run did."""
    for role, read in dataset_reads.views(db, [node.run.id]).get(node.run.id, {}).items():
        if read.removed:
            raise Conflict(f"{node.run.name!r} reads the data set {read.name!r}, which was removed")
        newest = dataset_reads.newest_versions(db, [read.dataset_id]).get(read.dataset_id)
        if newest is None or newest.sha256 == node.digests.get(role):
            continue
        if newest.sha256 is None:
            raise Conflict(f"the content of the data set {read.name!r} is not known: rescan it first")
        raise Conflict(
            f"{node.run.name!r} read another content of the data set {read.name!r} than its newest version, "
            f"{newest.number}: run it again, and choose that run as the baseline"
        )


def _not_comparable(run: Run, baseline: EvaluateResult) -> str:
    """Why a succeeded run's numbers do not go with the baseline's; empty where they do, or it has none yet."""
    if run.state != RunState.succeeded.value:
        return ""
    result = EvaluateResult.model_validate(run.result)
    mine, theirs = measured_on(result), measured_on(baseline)
    if difference := data_difference(mine, theirs):
        return f"its run {run.name!r} was measured on {difference} than the baseline"
    if result.metric != baseline.metric:
        return f"its run {run.name!r} has the metric {result.metric}, and the baseline {baseline.metric}"
    # Runs of older versions did not record their splits; equal data and equal specs, as these have, split alike.
    if mine.recorded and theirs.recorded and (differences := split_differences(mine, theirs)):
        return f"its run {run.name!r} has other splits than the baseline: {'; '.join(differences)}"
    return ""


def _point(
    db: Session, node: Node, kind: AblationKind, number: int, changes: Changes, baseline: EvaluateResult
) -> AblationPoint:
    values = _values(node, kind, changes)
    matching = matches(db, node, Change(kind.stage, changes, dead=True))
    why = {one.id: _not_comparable(one, baseline) for one in matching if one.id != node.run.id}
    found = [one for one in matching if not why.get(one.id)]
    run = next((one for one in found if one.id == node.run.id), found[0] if found else None)
    point = AblationPoint(
        number=number,
        label=point_label(kind, values),
        position=point_position(kind, values),
        changes=changes,
        baseline=run is not None and run.id == node.run.id,
        state="missing" if run is None else RunState(run.state),
        run=None if run is None else run.id,
        parent=None if run is None else run.parent_id,
        note=next(filter(None, why.values()), "") if run is None else "",
    )
    if run is None or run.state != RunState.succeeded.value:
        return point
    result = EvaluateResult.model_validate(run.result)
    on_test = result.test_mean is not None
    return point.model_copy(
        update={
            "mean": result.test_mean if on_test else result.val_mean,
            "std": result.test_std if on_test else result.val_std,
            "n": len(result.splits),
        }
    )


def _kind(ablation: Ablation) -> AblationKind:
    return ABLATION_KINDS[cast(Kind, ablation.kind)]


def _baseline(db: Session, run_id: UUID, kind: AblationKind) -> Node:
    """The baseline with all that it comes from. Raises NotFound, Invalid."""
    evaluations.result(db, run_id, "baseline")
    node = chain(db, run_id)
    if not node.reaches(kind.stage):
        raise Invalid(
            "baseline",
            f"{kind.title} changes the stage {kind.stage}, and this evaluation does not come from one: choose an "
            "evaluation of a backbone that was pretrained here",
        )
    return node


def _checked(node: Node, kind: AblationKind, changes: list[Changes]) -> list[Changes]:
    """The points, each with values that the stage takes. Raises Invalid."""
    for number, one in enumerate(changes):
        try:
            Change(kind.stage, one).spec(cast(Node, node.find(kind.stage)))
        except Invalid as error:
            raise Invalid(f"changes.{number}", str(error)) from error
    return changes


def _defaults(node: Node, kind: AblationKind) -> list[Changes]:
    """The kind's own values, those that the stage takes, with the baseline among them."""
    values = kind.sample_values if node.run.synthetic and kind.sample_values else kind.values
    kept = []
    for one in values:
        try:
            kept += _checked(node, kind, [one])
        except Invalid:
            continue
    if not kept:
        raise Invalid("kind", f"none of the values of {kind.title} fits this baseline: give changes")
    own = _values(node, kind, {})
    if all(_values(node, kind, one) != own for one in kept):
        kept.insert(0, {})
    return kept


def _values(node: Node, kind: AblationKind, changes: Changes) -> Changes:
    """What stands at the kind's paths once the changes are made, every default filled in."""
    changed = cast(Node, node.find(kind.stage))
    spec = Change(kind.stage, changes).spec(changed)
    return {path: value_at(spec, path) for path in kind.paths}


def _summary(ablation: Ablation, email: str | None) -> AblationSummary:
    return AblationSummary(
        id=ablation.id,
        name=ablation.name,
        kind=cast(Kind, ablation.kind),
        baseline=ablation.baseline_id,
        created_by=email,
        created_at=ablation.created_at,
    )


def _named_once(db: Session, name: str) -> None:
    try:
        with db.begin_nested():
            db.flush()
    except IntegrityError as error:
        raise Conflict(f"there is an ablation named {name!r} already") from error
