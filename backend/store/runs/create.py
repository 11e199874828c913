"""Create runs: of one stage, of a recipe, of a sweep, and copies of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.orm import Session

from backend.store.errors import Invalid, invalid_from
from backend.store.runs.tables import Run, RunEvent
from vise_client.schemas.launch import RecipeCreate, RunClone, RunCreate, SweepCreate
from vise_client.schemas.run_states import RunState
from vise_core.specs.base import Spec
from vise_core.specs.paths import value_at
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.recipes.recipe import RecipeSpec, possible_steps, recipe_input_artifacts
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.stages import STAGES, validate_spec

from . import identity
from .inputs import read_inputs, with_artifact, with_artifacts
from .queues import queue_of
from .read import get_run
from .states.transition import start_run


def create_run(db: Session, request: RunCreate, user: UUID | None) -> Run:
    """Create a run of one stage, queued or waiting for its inputs.

    Raises Invalid, with the path of the field, for an unknown stage, a spec that is not valid or an input that does not
    fit.
    """
    if request.stage not in STAGES:
        raise Invalid("stage", f"unknown stage {request.stage!r}; one of {', '.join(STAGES)}")
    try:
        spec = validate_spec(request.stage, request.spec)
    except ValidationError as error:
        raise invalid_from(error, "spec") from error
    run = _stage_run(db, request.stage, spec, request.inputs, "inputs", user)
    run.name = request.name or STAGES[request.stage].title
    run.tags = request.tags
    db.add(run)
    db.flush()
    identity.note(db, run)
    start_run(db, run)
    return run


def create_recipe(db: Session, request: RecipeCreate, user: UUID | None) -> Run:
    """Create a recipe's parent and one run for each step; return the parent.

    Steps whose inputs are all there are queued at once, the others wait. Raises Invalid, with the path of the field,
    unless exactly one of ``recipe`` and ``spec`` is given, and for an unknown recipe or an input that is missing or
    does not fit.
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
    parent = _parent(
        db, "recipe", request.name or spec.title, spec.model_dump(mode="json"), request.tags, user
    )
    parent.synthetic = spec.synthetic
    recipe_inputs = {
        name: with_artifact(db, ref, recipe_input_artifacts(spec, name), f"inputs.{name}", preferred=name)
        for name, ref in request.inputs.items()
    }
    parent.inputs = _dump(recipe_inputs)
    children: dict[str, Run] = {}
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
        child = _stage_run(db, step.stage, spec.specs[name], inputs, f"spec.steps.{name}.inputs", user)
        child.name, child.step = step.title or name, name
        child.parent_id, child.position = parent.id, position
        child.synthetic |= spec.synthetic
        db.add(child)
        db.flush()
        identity.note(db, child)
        children[name] = child
    identity.note_together(list(children.values()))
    for child in children.values():
        start_run(db, child)
    return parent


def create_sweep(db: Session, request: SweepCreate, user: UUID | None) -> Run:
    """Create a sweep's parent and one run for each point of the grid; return the parent.

    Raises Invalid for an input that is missing or does not fit.
    """
    sweep = request.spec
    name = request.name or f"Sweep over {', '.join([*sweep.cases, *sweep.grid])}"
    parent = _parent(db, "sweep", name, sweep.model_dump(mode="json"), request.tags, user)
    children = []
    for position, (point, spec) in enumerate(zip(sweep.points(), sweep.specs, strict=True)):
        child = _stage_run(db, sweep.stage, spec, point.inputs, "spec.inputs", user)
        varied = [f"{path.split('.')[-1]} {value_at(child.spec, path)}" for path in sweep.grid]
        child.name = child.step = ", ".join([*point.cases, *varied])
        child.parent_id, child.position = parent.id, position
        parent.synthetic = parent.synthetic or child.synthetic
        children.append(child)
    db.add_all(children)
    db.flush()
    for child in children:
        identity.note(db, child)
    identity.note_together(children)
    for child in children:
        start_run(db, child)
    return parent


def clone_run(db: Session, run_id: UUID, request: RunClone, user: UUID | None) -> Run:
    """Create a copy of a run, recipe or sweep, with the changes of the request.

    Raises NotFound if no run has this id, and Invalid if the changed spec or inputs are not valid.
    """
    run = get_run(db, run_id)
    name = request.name or f"{run.name} (copy)"
    spec = run.spec if request.spec is None else request.spec
    inputs = request.inputs or {role: InputRef.model_validate(ref) for role, ref in run.inputs.items()}
    if run.kind == "stage":
        return create_run(
            db, RunCreate(stage=run.stage or "", name=name, spec=spec, inputs=inputs, tags=run.tags), user
        )
    try:
        if run.kind == "recipe":
            recipe = RecipeSpec.model_validate(spec)
            return create_recipe(db, RecipeCreate(spec=recipe, name=name, inputs=inputs), user)
        return create_sweep(db, SweepCreate.model_validate({"spec": spec, "name": name}), user)
    except ValidationError as error:
        raise invalid_from(error, "spec") from error


def _stage_run(
    db: Session,
    stage: str,
    spec: Spec,
    inputs: Mapping[str, InputRef],
    field: str,
    user: UUID | None,
) -> Run:
    """Return a new run of a stage, waiting and without a name, after checks of its inputs. Raises Invalid.

    ``field``: where the request holds the inputs. The spec is stored with every default written out, so that the run
    says all that it was made with.
    """
    inputs = with_artifacts(db, stage, inputs, field)
    depends_on, synthetic = read_inputs(db, stage, spec, inputs, field)
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
    db: Session, kind: str, name: str, spec: dict[str, Any], tags: list[str], user: UUID | None
) -> Run:
    parent = Run(
        kind=kind,
        name=name,
        state=RunState.queued.value,
        spec=spec,
        tags=tags,
        queue=queue_of(None),
        created_by=user,
    )
    db.add(parent)
    db.flush()
    db.add(RunEvent(run_id=parent.id, to_state=parent.state, detail="created"))
    return parent


def _dump(inputs: Mapping[str, InputRef]) -> dict[str, Any]:
    return {role: ref.model_dump(mode="json", exclude_none=True) for role, ref in inputs.items()}
