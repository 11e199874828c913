"""Create runs: of one stage, of a recipe, of a sweep, and copies of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.store.errors import Conflict, Invalid, invalid_from
from backend.store.runs.tables import Run, RunEvent
from vise_client.schemas.launch import RecipeCreate, RunClone, RunCreate, SweepCreate
from vise_client.schemas.run_states import RunState
from vise_core.specs.base import Spec
from vise_core.specs.paths import value_at
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.recipes.recipe import RecipeSpec, possible_steps, recipe_input_artifacts
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.stages import STAGES, validate_spec

from .inputs import NONE, read_inputs, with_artifact, with_artifacts
from .queues import queue_of
from .read import get_run
from .states.launchable import check_stages
from .states.transition import LIVE
from .write import new_ids, write_runs

QUOTA_LOCK = 2
"""Space of PostgreSQL's advisory locks in which users are locked."""


@dataclass(frozen=True)
class Allowance:
    """What the maker of a request may launch."""

    admin: bool = False
    children: int = 1000
    open_runs: int | None = None


def create_run(db: Session, request: RunCreate, user: UUID | None, allowance: Allowance = Allowance()) -> Run:
    """Create a run of one stage, queued or waiting for its inputs.

    Raises Invalid, with the path of the field, for an unknown stage, a spec that is not valid or an input that does not
    fit, NotAllowed for a stage that only admins launch, and Conflict over the quota of open runs.
    """
    if request.stage not in STAGES:
        raise Invalid("stage", f"unknown stage {request.stage!r}; one of {', '.join(STAGES)}")
    try:
        spec = validate_spec(request.stage, request.spec)
    except ValidationError as error:
        raise invalid_from(error, "spec") from error
    check_stages([request.stage], admin=allowance.admin)
    check_open_runs(db, user, 1, allowance)
    run = _stage_run(db, request.stage, spec, request.inputs, "inputs", user)
    [run.id] = new_ids(db, 1)
    run.name = request.name or STAGES[request.stage].title
    run.tags = request.tags
    run.max_hours = request.max_hours
    write_runs(db, [run])
    return run


def create_recipe(
    db: Session, request: RecipeCreate, user: UUID | None, allowance: Allowance = Allowance()
) -> Run:
    """Create a recipe's parent and one run for each step; return the parent.

    Steps whose inputs are all there are queued at once, the others wait. Raises Invalid, with the path of the field,
    unless exactly one of ``recipe`` and ``spec`` is given, and for an unknown recipe, too many steps or an input that is
    missing or does not fit; NotAllowed and Conflict as for one run.
    """
    if (request.recipe is None) == (request.spec is None):
        raise Invalid("recipe", "give either the name of a recipe or a spec")
    if request.recipe is not None and request.recipe not in RECIPES:
        raise Invalid("recipe", f"unknown recipe {request.recipe!r}; one of {', '.join(RECIPES)}")
    spec = request.spec or RECIPES[str(request.recipe)]
    try:
        steps = possible_steps(spec, request.inputs)
    except ValueError as error:
        raise Invalid("inputs", str(error)) from error
    _check_number("spec.steps", "steps", len(steps), allowance)
    check_stages([step.stage for step in steps.values()], admin=allowance.admin)
    check_open_runs(db, user, len(steps), allowance)
    parent = _parent(db, "recipe", request.name or spec.title, spec.model_dump(mode="json"), request, user)
    parent.synthetic = spec.synthetic
    recipe_inputs = {
        name: with_artifact(db, ref, recipe_input_artifacts(spec, name), f"inputs.{name}", preferred=name)
        for name, ref in request.inputs.items()
    }
    parent.inputs = _dump(recipe_inputs)
    children: dict[str, Run] = {}
    new: dict[UUID, Run] = {}
    ids = new_ids(db, len(steps))
    for position, (name, step) in enumerate(steps.items()):
        # A reference to a step becomes one to the run that was created for it just before.
        inputs = {
            role: InputRef(run=children[ref.step].id, artifact=ref.artifact)
            if ref.step
            else recipe_inputs[ref.given]
            if ref.given
            else ref
            for role, ref in step.inputs.items()
        }
        child = _stage_run(db, step.stage, spec.specs[name], inputs, f"spec.steps.{name}.inputs", user, new)
        child.id, child.name, child.step = ids[position], step.title or name, name
        child.parent_id, child.position, child.max_hours = parent.id, position, request.max_hours
        child.synthetic |= spec.synthetic
        children[name] = new[child.id] = child
    write_runs(db, list(children.values()))
    return parent


def create_sweep(
    db: Session, request: SweepCreate, user: UUID | None, allowance: Allowance = Allowance()
) -> Run:
    """Create a sweep's parent and one run for each point of the grid; return the parent.

    Raises Invalid for too many points and for an input that is missing or does not fit; NotAllowed and Conflict as for
    one run.
    """
    sweep = request.spec
    _check_number("spec", "points", len(sweep.specs), allowance)
    check_stages([sweep.stage], admin=allowance.admin)
    check_open_runs(db, user, len(sweep.specs), allowance)
    name = request.name or f"Sweep over {', '.join([*sweep.cases, *sweep.grid])}"
    parent = _parent(db, "sweep", name, sweep.model_dump(mode="json"), request, user)
    children = []
    ids = new_ids(db, len(sweep.specs))
    for position, (point, spec) in enumerate(zip(sweep.points(), sweep.specs, strict=True)):
        child = _stage_run(db, sweep.stage, spec, point.inputs, "spec.inputs", user)
        varied = [f"{path.split('.')[-1]} {value_at(child.spec, path)}" for path in sweep.grid]
        child.name = child.step = ", ".join([*point.cases, *varied])
        child.id, child.parent_id, child.position = ids[position], parent.id, position
        child.max_hours = request.max_hours
        parent.synthetic = parent.synthetic or child.synthetic
        children.append(child)
    write_runs(db, children)
    return parent


def clone_run(
    db: Session, run_id: UUID, request: RunClone, user: UUID | None, allowance: Allowance = Allowance()
) -> Run:
    """Create a copy of a run, recipe or sweep, with the changes of the request.

    Raises NotFound if no run has this id, Invalid if the changed spec or inputs are not valid, and the errors of
    ``create_run``, ``create_recipe`` and ``create_sweep``.
    """
    run = get_run(db, run_id)
    name = request.name or f"{run.name} (copy)"
    spec = run.spec if request.spec is None else request.spec
    inputs = request.inputs or {role: InputRef.model_validate(ref) for role, ref in run.inputs.items()}
    kept = {"name": name, "tags": run.tags, "max_hours": run.max_hours}
    if run.kind == "stage":
        copy = RunCreate(stage=run.stage or "", spec=spec, inputs=inputs, **kept)
        return create_run(db, copy, user, allowance)
    try:
        if run.kind == "recipe":
            check_steps(spec, allowance)
            recipe = RecipeSpec.model_validate(spec)
            return create_recipe(db, RecipeCreate(spec=recipe, inputs=inputs, **kept), user, allowance)
        return create_sweep(db, SweepCreate.model_validate({"spec": spec, **kept}), user, allowance)
    except ValidationError as error:
        raise invalid_from(error, "spec") from error


def check_open_runs(db: Session, user: UUID | None, more: int, allowance: Allowance) -> None:
    """Raise Conflict if the user would have more unfinished runs than allowed, with ``more`` that are not written yet."""
    if user is None or allowance.open_runs is None:
        return
    # One request of a user after the other: each counts what those before it have created.
    db.execute(select(func.pg_advisory_xact_lock(QUOTA_LOCK, func.hashtext(str(user)))))
    unfinished = (Run.created_by == user, Run.kind == "stage", Run.state.in_([state.value for state in LIVE]))
    number = db.scalar(select(func.count()).select_from(Run).where(*unfinished)) or 0
    if number + more > allowance.open_runs:
        raise Conflict(
            f"that would be {number + more:,} unfinished runs of one user; the limit is {allowance.open_runs:,} "
            "(VISE_MAX_OPEN_RUNS): wait until some have finished, or cancel some"
        )


def check_steps(recipe: Any, allowance: Allowance) -> None:
    """Raise Invalid for the values of a recipe with too many steps; to validate thousands of specs takes seconds."""
    steps = recipe.get("steps") if isinstance(recipe, dict) else None
    if isinstance(steps, dict):
        _check_number("spec.steps", "steps", len(steps), allowance)


def _check_number(field: str, things: str, number: int, allowance: Allowance) -> None:
    if number > allowance.children:
        raise Invalid(
            field,
            f"has {number:,} {things}; at most {allowance.children:,} (VISE_MAX_CHILDREN): launch it in parts",
        )


def _stage_run(
    db: Session,
    stage: str,
    spec: Spec,
    inputs: Mapping[str, InputRef],
    field: str,
    user: UUID | None,
    new: Mapping[UUID, Run] = NONE,
) -> Run:
    """Return a new run of a stage, without an id and a name, after checks of its inputs. Raises Invalid.

    ``field``: where the request holds the inputs. The spec is stored with every default written out, so that the run
    says all that it was made with.
    """
    inputs = with_artifacts(db, stage, inputs, field, new)
    depends_on, synthetic = read_inputs(db, stage, spec, inputs, field, new)
    return Run(
        kind="stage",
        stage=stage,
        state=RunState.waiting.value,
        spec=spec.model_dump(mode="json"),
        inputs=_dump(inputs),
        depends_on=depends_on,
        queue=queue_of(stage),
        synthetic=synthetic,
        created_by=user,
    )


def _parent(
    db: Session,
    kind: str,
    name: str,
    spec: dict[str, Any],
    request: RecipeCreate | SweepCreate,
    user: UUID | None,
) -> Run:
    parent = Run(
        kind=kind,
        name=name,
        state=RunState.queued.value,
        spec=spec,
        tags=request.tags,
        max_hours=request.max_hours,
        queue=queue_of(None),
        created_by=user,
    )
    db.add(parent)
    db.flush()
    db.add(RunEvent(run_id=parent.id, to_state=parent.state, detail="created"))
    return parent


def _dump(inputs: Mapping[str, InputRef]) -> dict[str, Any]:
    return {role: ref.model_dump(mode="json", exclude_none=True) for role, ref in inputs.items()}
