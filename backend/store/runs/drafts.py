"""Drafts of runs: which inputs fit, which fields are wrong, and what the runs would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from backend.store.errors import Invalid
from backend.store.registry import folders
from backend.store.registry.dataset_reads import newest_versions
from backend.store.registry.tables import Artifact, Dataset
from backend.store.runs.inputs import check_input, check_labelled, with_artifacts
from backend.store.runs.query.conditions import phrase
from backend.store.runs.tables import Run
from vise_client.schemas.launch import FieldProblem, InputCandidate, LaunchCheck, StageDraft
from vise_client.schemas.run_states import RunState
from vise_core.specs.base import Spec
from vise_core.specs.estimate import Estimate, InputFacts, PastRun, combined_estimate, estimate
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.recipes.sweep import SweepSpec
from vise_core.specs.stages import STAGES, validate_spec

MAX_POINTS = 1000
PAST_RUNS = 50
DATASET_KINDS = {
    "evaluation_set": "images", "source": "posts", "posts": "posts", "weights": "weights", "text_encoder": "weights",
}  # fmt: skip
"""Artifact that an input takes → kind of a registered data set that fits it too."""

LIVE = (RunState.waiting, RunState.queued, RunState.running, RunState.pausing, RunState.paused)


def check(db: Session, stage: str, draft: StageDraft, root: Path | None) -> LaunchCheck:
    """Return all problems of a draft by field; if there are none, an estimate of time, memory and disk space.

    ``root`` is the data root; a folder below it that has changed since its survey gives a warning.
    """
    points, problems = _points(stage, draft)
    specs: list[Spec] = []
    for point in points:
        try:
            specs.append(validate_spec(stage, point))
        except ValidationError as error:
            new_problems = [_problem(item, point, draft.grid) for item in error.errors()]
            problems += [problem for problem in new_problems if problem not in problems]
            break  # The other points mostly have the same errors.
    needed = STAGES[stage].needed_inputs(specs[0]) if specs else set()
    for role in sorted(needed - draft.inputs.keys()):
        message = f"is required: {STAGES[stage].inputs[role].help}"
        problems.append(FieldProblem(field=f"inputs.{role}", message=message, missing=True))
    inputs = dict(draft.inputs)
    for role, ref in draft.inputs.items():
        try:
            inputs |= with_artifacts(db, stage, {role: ref}, "inputs")
            check_input(db, stage, role, inputs[role], "inputs")
        except Invalid as error:
            problems.append(FieldProblem(field=f"inputs.{role}", message=error.message))
    if not problems:
        try:
            check_labelled(db, inputs, "inputs")
        except Invalid as error:
            problems.append(FieldProblem(field=error.field, message=error.message))
    total = None if problems else _estimate(db, stage, specs, inputs)
    warnings = _warnings(db, draft.inputs, root)
    return LaunchCheck(problems=problems, warnings=warnings, runs=len(points), estimate=total)


def _warnings(db: Session, inputs: Mapping[str, InputRef], root: Path | None) -> list[FieldProblem]:
    """Return a warning for each data set whose folder is not known to equal its newest version."""
    warnings = []
    for role, ref in inputs.items():
        dataset = db.get(Dataset, ref.dataset) if ref.dataset is not None else None
        if dataset is None:
            continue
        changes = folders.changes(db, root, dataset)
        if not changes.settled:
            warnings.append(FieldProblem(field=f"inputs.{role}", message=changes.sentence))
    return warnings


def candidates(
    db: Session, artifacts: Sequence[str], *, search: str = "", limit: int = 50
) -> list[InputCandidate]:
    """Return artifacts of succeeded and unfinished runs, newest first, then data sets."""
    makers = [(stage, name) for stage, entry in STAGES.items() for name in entry.outputs if name in artifacts]
    candidates: list[InputCandidate] = []
    for stage, name in makers:
        made = exists().where(Artifact.run_id == Run.id, Artifact.name == name)
        statement = select(Run).where(
            Run.kind == "stage",
            Run.stage == stage,
            or_(
                and_(Run.state == RunState.succeeded.value, made),
                Run.state.in_([state.value for state in LIVE]),
            ),
        )
        if search:
            statement = statement.where(phrase(search))
        named_by_artifact = sum(made_by == stage for made_by, _ in makers) > 1
        for run in db.scalars(statement.order_by(Run.id.desc()).limit(limit)):
            candidates.append(
                InputCandidate(
                    ref=InputRef(run=run.id, artifact=name),
                    name=f"{run.name}: {name}" if named_by_artifact else run.name,
                    made_by=stage,
                    state=RunState(run.state),
                    synthetic=run.synthetic,
                    created_at=run.created_at,
                )
            )
    candidates.sort(key=lambda candidate: candidate.created_at, reverse=True)
    kinds = {DATASET_KINDS[name] for name in artifacts if name in DATASET_KINDS}
    datasets = select(Dataset).where(Dataset.kind.in_(kinds))
    if search:
        datasets = datasets.where(Dataset.name.icontains(search, autoescape=True))
    rows = db.scalars(datasets.order_by(Dataset.name).limit(limit)).all()
    newest = newest_versions(db, [dataset.id for dataset in rows])
    for dataset in rows:
        version = newest.get(dataset.id)
        candidates.append(
            InputCandidate(
                ref=InputRef(dataset=dataset.id),
                name=dataset.name,
                made_by="data set",
                state=None,
                synthetic=dataset.synthetic,
                created_at=dataset.created_at,
                version=version.number if version is not None else None,
            )
        )
    return candidates[:limit]


def facts_of(db: Session, inputs: Mapping[str, InputRef]) -> InputFacts:
    """Return what is known about inputs: number of posts or images, the checkpoint's backbone, the labels' classes."""
    # Labels first: they select the posts to train on.
    roles = [role for role in ("labels", "dataset", "posts", "source") if role in inputs]
    items = next((items for role in roles if (items := _facts(db, inputs[role]).items)), None)
    backbone = _facts(db, inputs.get("checkpoint")).backbone
    labels = _run(db, inputs.get("labels"))
    clusterer = labels.inputs.get("clusterer") if labels is not None else None
    classes = _facts(db, InputRef.model_validate(clusterer)).classes if clusterer is not None else None
    return InputFacts(items=items, backbone=backbone, classes=classes)


def past_runs(db: Session, stage: str) -> list[PastRun]:
    """Return the newest succeeded runs of a stage whose specs are still valid."""
    size = aliased(Artifact)
    written = select(func.coalesce(func.sum(size.size), 0)).where(size.run_id == Run.id).scalar_subquery()
    rows = db.execute(
        select(Run.id, Run.spec, Run.result, written)
        .where(Run.stage == stage, Run.state == RunState.succeeded.value)
        .order_by(Run.id.desc())
        .limit(PAST_RUNS)
    )
    past = []
    for run_id, spec, result, size_bytes in rows:
        with suppress(ValidationError):
            past.append(PastRun(str(run_id), validate_spec(stage, spec), result or {}, int(size_bytes)))
    return past


def _estimate(db: Session, stage: str, specs: Sequence[Spec], inputs: Mapping[str, InputRef]) -> Estimate:
    facts, past = facts_of(db, inputs), past_runs(db, stage)
    return combined_estimate([estimate(STAGES[stage].cost, spec, facts, past) for spec in specs])


def _points(stage: str, draft: StageDraft) -> tuple[list[dict[str, Any]], list[FieldProblem]]:
    """Return the spec of each run, and the problems of the grid itself."""
    empty = [path for path, values in draft.grid.items() if not values]
    if empty:
        return [draft.spec], [
            FieldProblem(field=f"grid.{path}", message="give values", missing=True) for path in empty
        ]
    if not draft.grid:
        return [draft.spec], []
    number = 1
    for values in draft.grid.values():
        number *= len(values)
    if number > MAX_POINTS:
        message = f"the grid has {number:,} points; at most {MAX_POINTS:,}"
        return [draft.spec], [FieldProblem(field="grid", message=message)]
    grid = {path: tuple(values) for path, values in draft.grid.items()}
    try:
        points = SweepSpec.model_construct(stage=stage, base=draft.spec, grid=grid).points()
    except ValueError as error:
        return [draft.spec], [FieldProblem(field="grid", message=str(error))]
    return [point.spec for point in points], []


def _problem(item: Any, spec: dict[str, Any], grid: Mapping[str, Any]) -> FieldProblem:
    path = ".".join(field_path(item["loc"], spec))
    message = str(item["msg"]).removeprefix("Value error, ")
    if path in grid:
        return FieldProblem(field=f"grid.{path}", message=message)
    return FieldProblem(field=f"spec.{path}" if path else "spec", message=message)


def field_path(location: Sequence[int | str], spec: Any) -> list[str]:
    """Return Pydantic's location without the tags of unions: source.jsonl.posts → source.posts."""
    path: list[str] = []
    node = spec
    for part in location:
        if isinstance(node, dict) and part not in node and part == node.get("kind"):
            continue
        path.append(str(part))
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            node = None
    return path


def _run(db: Session, ref: InputRef | None) -> Run | None:
    return db.get(Run, ref.run) if ref is not None and ref.run is not None else None


def _facts(db: Session, ref: InputRef | None) -> InputFacts:
    """Return what is known about one input, from the data set's newest version or the run that made it."""
    if ref is not None and ref.dataset is not None:
        version = newest_versions(db, [ref.dataset]).get(ref.dataset)
        return InputFacts(
            items=((version.survey if version is not None else None) or {}).get("images") or None
        )
    run = _run(db, ref)
    if run is None or ref is None:
        return InputFacts()
    return STAGES[run.stage or ""].facts(ref.artifact or "", run.spec, run.result or {})
