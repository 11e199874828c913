"""Ablations: a baseline, its one-factor changes, and the runs that match each."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.changes import check_expected
from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.registry import dataset_reads
from backend.store.reports.tables import Ablation
from backend.store.rows import get_row, unique
from backend.store.runs.create import Allowance, create_recipe
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
    """Create an ablation.

    Raises NotFound if no run has the id of the baseline, Invalid if the baseline or a value does not fit the kind, and
    Conflict if the name is taken.
    """
    kind = ABLATION_KINDS[request.kind]
    node = _baseline(db, request.baseline, kind)
    changes = _checked(node, kind, request.changes) if request.changes else _defaults(node, kind)
    ablation = Ablation(
        name=request.name, kind=request.kind, baseline_id=request.baseline, changes=changes, created_by=user
    )
    with unique(db, f"an ablation named {request.name!r}"):
        db.add(ablation)
    return ablation


def update(db: Session, ablation_id: UUID, request: AblationUpdate) -> Ablation:
    """Rename an ablation or change its points.

    Raises NotFound if no ablation has this id, Invalid if a value does not fit its kind, and Conflict if the name is
    taken.
    """
    ablation = get(db, ablation_id)
    check_expected(db, ablation, request)
    if request.changes is not None:
        kind = _kind(ablation)
        ablation.changes = _checked(_baseline(db, ablation.baseline_id, kind), kind, request.changes)
    if request.name is not None:
        with unique(db, f"an ablation named {request.name!r}"):
            ablation.name = request.name
    return ablation


def get(db: Session, ablation_id: UUID) -> Ablation:
    """Return an ablation. Raises NotFound if no ablation has this id."""
    return get_row(db, Ablation, ablation_id, "ablation")


def delete(db: Session, ablation_id: UUID) -> None:
    """Delete an ablation; its runs stay. Raises NotFound if no ablation has this id."""
    db.delete(get(db, ablation_id))


def list_all(db: Session, limit: int = 500) -> list[AblationSummary]:
    """Return the ablations, newest first."""
    rows = db.execute(
        select(Ablation, User.email)
        .outerjoin(User, User.id == Ablation.created_by)
        .order_by(Ablation.id.desc())
        .limit(limit)
    )
    return [_summary(ablation, email) for ablation, email in rows]


def view(db: Session, ablation_id: UUID) -> AblationView:
    """Return an ablation with the best run of each point: succeeded, else unfinished, else failed."""
    ablation = get(db, ablation_id)
    kind = _kind(ablation)
    node = _baseline(db, ablation.baseline_id, kind)
    baseline = evaluations.result(db, ablation.baseline_id, "baseline")
    user = db.get(User, ablation.created_by) if ablation.created_by else None
    points = [
        _point(db, node, kind, number, changes, baseline) for number, changes in enumerate(ablation.changes)
    ]
    return AblationView.of(
        baseline,
        **_summary(ablation, user.email if user else None).model_dump(),
        title=kind.title,
        axis=kind.axis,
        log=kind.log,
        on="val" if baseline.test_mean is None else "test",
        measured=measured_on(baseline).key,
        points=points,
    )


def launch(
    db: Session, ablation_id: UUID, number: int, user: UUID | None, allowance: Allowance = Allowance()
) -> Run:
    """Create a recipe that fills a missing point: its steps are the runs that differ, its inputs those that do not.

    Raises NotFound if there is no such ablation or point, and Conflict if a run fills the point already or is about to,
    or if a data set has changed since the baseline read it.
    """
    ablation = get(db, ablation_id)
    if not 0 <= number < len(ablation.changes):
        raise NotFound(f"the ablation has no point {number}; it has {len(ablation.changes)}, counted from 0")
    kind = _kind(ablation)
    node = _baseline(db, ablation.baseline_id, kind)
    change = Change(kind.stage, ablation.changes[number])
    baseline = evaluations.result(db, ablation.baseline_id, "baseline")
    if any(not _not_comparable(run, baseline) for run in matches(db, node, change)):
        raise Conflict("the point already has a run, or its run is not finished yet")
    label = point_label(kind, _values(node, kind, ablation.changes[number]))
    method = kind.methods.get(label) or f"{baseline.method}, {label}"[:80]
    steps: dict[str, Any] = {}
    steps_by_run: dict[UUID, str] = {}

    def source(original: Node) -> dict[str, Any]:
        """Return the counterpart of a run as an input: an existing run, or a new step."""
        # An evaluation that cannot be compared with the baseline does not fill the point.
        counterparts = [] if original is node else matches(db, original, change)
        if counterparts:
            return {"run": counterparts[0].id}
        if original.run.id not in steps_by_run:
            require_same_data(db, original)
            inputs: dict[str, Any] = {
                role: {"dataset": dataset} for role, dataset in original.datasets.items()
            }
            for role, (node_read, artifact) in original.sources.items():
                inputs[role] = source(node_read) | {"artifact": artifact}
            stage, spec = original.run.stage or "", change.spec(original)
            if stage == "evaluate":
                spec["method"] = method
            steps_by_run[original.run.id] = stage if stage not in steps else f"{stage} {len(steps)}"
            title = f"{STAGES[stage].title}, {label}"
            steps[steps_by_run[original.run.id]] = {
                "stage": stage,
                "title": title,
                "spec": spec,
                "inputs": inputs,
            }
        return {"step": steps_by_run[original.run.id]}

    source(node)
    recipe = RecipeSpec(
        title=f"{ablation.name}: {label}",
        description=f"Fills a point of the ablation {ablation.name}.",
        synthetic=node.run.synthetic,
        steps=steps,
    )
    return create_recipe(db, RecipeCreate(spec=recipe, tags=[TAG]), user, allowance)


def require_same_data(db: Session, node: Node) -> None:
    """Raise Conflict if a new run would read other data set content than the node's run did."""
    for role, read in dataset_reads.views(db, [node.run.id]).get(node.run.id, {}).items():
        if read.removed:
            raise Conflict(f"{node.run.name!r} reads the data set {read.name!r}, which was removed")
        newest = dataset_reads.newest_versions(db, [read.dataset_id]).get(read.dataset_id)
        if newest is None or newest.sha256 == node.digests.get(role):
            continue
        raise Conflict(
            f"{node.run.name!r} read other content of the data set {read.name!r} than its newest version, "
            f"{newest.number}: run it again, and choose that run as the baseline"
        )


def _not_comparable(run: Run, baseline: EvaluateResult) -> str:
    """Return why a run's result cannot be compared with the baseline's; empty if it can, or has no result yet."""
    if run.state != RunState.succeeded.value:
        return ""
    try:
        result = EvaluateResult.model_validate(run.result)
    except ValidationError:
        return f"the result of its run {run.name!r} was written by another version; run it again"
    mine, theirs = measured_on(result), measured_on(baseline)
    if difference := data_difference(mine, theirs):
        return f"its run {run.name!r} was measured on {difference} than the baseline"
    if result.metric != baseline.metric:
        return f"its run {run.name!r} has the metric {result.metric}, and the baseline {baseline.metric}"
    if differences := split_differences(mine, theirs):
        return f"its run {run.name!r} has other splits than the baseline: {'; '.join(differences)}"
    return ""


def _point(
    db: Session, node: Node, kind: AblationKind, number: int, changes: Changes, baseline: EvaluateResult
) -> AblationPoint:
    values = _values(node, kind, changes)
    matching = matches(db, node, Change(kind.stage, changes, dead=True))
    reasons = {
        candidate.id: _not_comparable(candidate, baseline)
        for candidate in matching
        if candidate.id != node.run.id
    }
    comparable = [candidate for candidate in matching if not reasons.get(candidate.id)]
    run = next(
        (candidate for candidate in comparable if candidate.id == node.run.id),
        comparable[0] if comparable else None,
    )
    point = AblationPoint(
        number=number,
        label=point_label(kind, values),
        position=point_position(kind, values),
        changes=changes,
        baseline=run is not None and run.id == node.run.id,
        state="missing" if run is None else RunState(run.state),
        run=None if run is None else run.id,
        parent=None if run is None else run.parent_id,
        note=next(filter(None, reasons.values()), "") if run is None else "",
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
    """Return the baseline with all runs that it comes from. Raises NotFound, Invalid."""
    evaluations.result(db, run_id, "baseline")
    node = chain(db, run_id)
    if not node.reaches(kind.stage):
        raise Invalid(
            "baseline",
            f"{kind.title} changes the stage {kind.stage}, but no run of that stage leads to this evaluation: "
            "choose an evaluation of a backbone that was pretrained here",
        )
    return node


def _checked(node: Node, kind: AblationKind, changes: list[Changes]) -> list[Changes]:
    """Return the points after validating their values against the stage. Raises Invalid."""
    for number, point in enumerate(changes):
        try:
            Change(kind.stage, point).spec(cast(Node, node.find(kind.stage)))
        except Invalid as error:
            raise Invalid(f"changes.{number}", str(error)) from error
    return changes


def _defaults(node: Node, kind: AblationKind) -> list[Changes]:
    """Return the kind's default points that are valid for the baseline, with the baseline itself among them."""
    values = kind.sample_values if node.run.synthetic and kind.sample_values else kind.values
    kept = []
    for point in values:
        try:
            kept += _checked(node, kind, [point])
        except Invalid:
            continue
    if not kept:
        raise Invalid("kind", f"no default value of {kind.title} fits this baseline: give changes")
    own = _values(node, kind, {})
    if all(_values(node, kind, point) != own for point in kept):
        kept.insert(0, {})
    return kept


def _values(node: Node, kind: AblationKind, changes: Changes) -> Changes:
    """Return the values at the kind's paths after the changes, defaults included."""
    changed = cast(Node, node.find(kind.stage))
    spec = Change(kind.stage, changes).spec(changed)
    return {path: value_at(spec, path) for path in kind.paths}


def _summary(ablation: Ablation, email: str | None) -> AblationSummary:
    return AblationSummary.of(ablation, baseline=ablation.baseline_id, created_by=email)
