"""Runs: create, read, list, clone. How they change state is in ``states``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.metrics import points as metrics
from backend.store.metrics.marks import wire_number
from backend.store.registry import dataset_reads
from backend.store.tables import Artifact, Dataset, MetricLatest, Model, Run, RunEvent, Upload, User
from vise_client.schemas.artifacts import ArtifactView
from vise_client.schemas.launch import RecipeCreate, RunClone, RunCreate, SweepCreate
from vise_client.schemas.run_states import RunState
from vise_client.schemas.runs import EventView, RunView
from vise_core.specs.base import Spec
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.fetch import FetchSpec
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.pretrain import PretrainSpec
from vise_core.specs.recipes.inputs import InputRef, the_artifact
from vise_core.specs.recipes.recipe import RecipeSpec, given_artifacts, possible_steps
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.stages import STAGES, validate_spec

from . import identity, states
from .listing import SHOWN, summaries

MAX_CHILDREN = 1000


def create_run(db: Session, request: RunCreate, user: UUID | None) -> Run:
    """One stage, queued or waiting for what it reads from. Raises Invalid with the field's path."""
    spec = _checked_spec(request.stage, request.spec, "spec")
    inputs = with_artifacts(db, request.stage, request.inputs, "inputs")
    depends_on, synthetic = _checked_inputs(db, request.stage, spec, inputs, "inputs")
    run = Run(
        kind="stage",
        stage=request.stage,
        name=request.name or STAGES[request.stage].title,
        state=RunState.waiting.value,
        spec=spec,
        inputs=_dump(inputs),
        depends_on=depends_on,
        tags=request.tags,
        queue=STAGES[request.stage].queue,
        synthetic=synthetic,
        created_by=user,
    )
    db.add(run)
    db.flush()
    identity.note(db, run)
    states.start(db, run)
    return run


def create_recipe(db: Session, request: RecipeCreate, user: UUID | None) -> Run:
    """A parent and one run a step; steps without open inputs are queued at once."""
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
    given = {
        name: _with_artifact(db, ref, given_artifacts(spec, name), f"inputs.{name}", preferred=name)
        for name, ref in request.inputs.items()
    }
    parent.inputs = _dump(given)
    made: dict[str, Run] = {}
    for position, (name, step) in enumerate(steps.items()):
        # A step's name becomes the id of the run that was made for it, just before.
        inputs = {
            role: InputRef(run=made[ref.step].id, artifact=ref.artifact)
            if ref.step
            else given[ref.given]
            if ref.given
            else ref
            for role, ref in step.inputs.items()
        }
        inputs = with_artifacts(db, step.stage, inputs, f"spec.steps.{name}.inputs")
        checked = _checked_spec(step.stage, step.spec, f"spec.steps.{name}.spec")
        depends_on, synthetic = _checked_inputs(db, step.stage, checked, inputs, f"spec.steps.{name}.inputs")
        made[name] = Run(
            kind="stage",
            stage=step.stage,
            name=step.title or name,
            state=RunState.waiting.value,
            parent_id=parent.id,
            step=name,
            position=position,
            spec=checked,
            inputs=_dump(inputs),
            depends_on=depends_on,
            queue=STAGES[step.stage].queue,
            synthetic=spec.synthetic or synthetic,
            created_by=user,
        )
        db.add(made[name])
        db.flush()
        identity.note(db, made[name])
    identity.note_together(list(made.values()))
    for run in made.values():
        states.start(db, run)
    return parent


def create_sweep(db: Session, request: SweepCreate, user: UUID | None) -> Run:
    """A parent and one run a point of the grid."""
    sweep = request.spec
    name = request.name or f"Sweep over {', '.join([*sweep.cases, *sweep.grid])}"
    parent = _parent(db, "sweep", name, sweep.model_dump(mode="json"), request.tags, user)
    children = []
    for position, point in enumerate(sweep.points()):
        spec = _checked_spec(sweep.stage, point.spec, "spec.base")
        inputs = with_artifacts(db, sweep.stage, point.inputs, "spec.inputs")
        depends_on, synthetic = _checked_inputs(db, sweep.stage, spec, inputs, "spec.inputs")
        parent.synthetic = parent.synthetic or synthetic
        varied = [f"{path.split('.')[-1]} {_at(spec, path)}" for path in sweep.grid]
        values = ", ".join([*point.cases, *varied])
        child = Run(
            kind="stage",
            stage=sweep.stage,
            name=values,
            state=RunState.waiting.value,
            parent_id=parent.id,
            step=values,
            position=position,
            spec=spec,
            inputs=_dump(inputs),
            depends_on=depends_on,
            queue=STAGES[sweep.stage].queue,
            synthetic=synthetic,
            created_by=user,
        )
        db.add(child)
        children.append(child)
    db.flush()
    for child in children:
        identity.note(db, child)
    identity.note_together(children)
    for child in children:
        states.start(db, child)
    return parent


def clone(db: Session, run_id: UUID, request: RunClone, user: UUID | None) -> Run:
    """The same again, with changes. Of a recipe or sweep: the whole, with a new spec if one is given."""
    run = get(db, run_id)
    name = request.name or f"{run.name} (copy)"
    if run.kind == "stage":
        inputs = request.inputs or {role: InputRef.model_validate(ref) for role, ref in run.inputs.items()}
        spec = run.spec if request.spec is None else request.spec
        return create_run(
            db, RunCreate(stage=run.stage or "", name=name, spec=spec, inputs=inputs, tags=run.tags), user
        )
    spec = run.spec if request.spec is None else request.spec
    try:
        if run.kind == "recipe":
            given = request.inputs or {n: InputRef.model_validate(ref) for n, ref in run.inputs.items()}
            return create_recipe(
                db, RecipeCreate(spec=RecipeSpec.model_validate(spec), name=name, inputs=given), user
            )
        return create_sweep(db, SweepCreate.model_validate({"spec": spec, "name": name}), user)
    except ValidationError as error:
        raise invalid_from(error, "spec") from error


def get(db: Session, run_id: UUID) -> Run:
    run = db.get(Run, run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    return run


def delete(db: Session, run_id: UUID) -> None:
    """Forget a finished run, its curves and its artifacts' rows. Raises Conflict where something still needs it."""
    run = get(db, run_id)
    if not RunState(run.state).final:
        raise Conflict(f"the run is {run.state}; cancel it first")
    family = [run.id, *db.scalars(select(Run.id).where(Run.parent_id == run.id))]
    user = db.scalar(select(Run.name).where(Run.depends_on.overlap(family), Run.id.notin_(family)).limit(1))
    if user is not None:
        raise Conflict(f"the run {user!r} reads from it; delete that one first")
    model = db.scalar(select(Model.name).where(Model.run_id.in_(family)).limit(1))
    if model is not None:
        raise Conflict(f"the model {model!r} was made from it; delete that one first")
    dataset = db.scalar(select(Dataset.name).where(Dataset.run_id.in_(family)).limit(1))
    if dataset is not None:
        raise Conflict(f"the data set {dataset!r} was brought in by it; delete that one first")
    db.delete(run)


def view(db: Session, run_id: UUID) -> RunView:
    """One run, whole: with artifacts, latest metrics and children."""
    run = get(db, run_id)
    artifacts = db.scalars(select(Artifact).where(Artifact.run_id == run_id).order_by(Artifact.name))
    latest = db.execute(
        select(MetricLatest.key, MetricLatest.value)
        .where(MetricLatest.run_id == run_id, MetricLatest.value.is_not(None))
        .where(~MetricLatest.key.startswith(metrics.SYSTEM, autoescape=True))
        .order_by(MetricLatest.key)
    )
    children = db.scalars(
        select(Run).where(Run.parent_id == run_id).order_by(Run.position).limit(MAX_CHILDREN).options(*SHOWN)
    )
    user = db.get(User, run.created_by) if run.created_by else None
    email = user.email if user else None
    own, *of_children = summaries(db, [(run, email), *((child, email) for child in children)])
    return RunView(
        **own.model_dump(),
        spec=run.spec,
        inputs={role: InputRef.model_validate(ref) for role, ref in run.inputs.items()},
        datasets=dataset_reads.views(db, [run_id]).get(run_id, {}),
        result=run.result,
        error=run.error,
        artifacts=[ArtifactView.model_validate(a) for a in artifacts],
        latest={key: wire_number(value) for key, value in latest if value is not None},
        children=of_children,
    )


def events(db: Session, run_id: UUID) -> list[EventView]:
    get(db, run_id)
    rows = db.scalars(select(RunEvent).where(RunEvent.run_id == run_id).order_by(RunEvent.id).limit(10_000))
    return [EventView.model_validate(row) for row in rows]


def invalid_from(error: ValidationError, prefix: str) -> Invalid:
    """The first thing that is wrong with a spec, by its dotted path."""
    first = error.errors()[0]
    path = ".".join([prefix, *(str(part) for part in first["loc"])])
    return Invalid(path, str(first["msg"]).removeprefix("Value error, "))


def _checked_spec(stage: str, spec: dict[str, Any], field: str) -> dict[str, Any]:
    """The spec with every default written out, so that a run says all that it was made with."""
    if stage not in STAGES:
        raise Invalid("stage", f"unknown stage {stage!r}; one of {', '.join(STAGES)}")
    try:
        return validate_spec(stage, spec).model_dump(mode="json")
    except ValidationError as error:
        raise invalid_from(error, field) from error


def _checked_inputs(
    db: Session, stage: str, spec: dict[str, Any], inputs: Mapping[str, InputRef], field: str
) -> tuple[list[UUID], bool]:
    """(runs that it reads from, whether any input is synthetic). Raises Invalid."""
    parsed = validate_spec(stage, spec)
    for role in sorted(needed_inputs(stage, parsed) - inputs.keys()):
        raise Invalid(f"{field}.{role}", f"is required: {STAGES[stage].inputs[role].help}")
    depends_on: dict[UUID, None] = {}
    synthetic = False
    for role, ref in inputs.items():
        source = check_input(db, stage, role, ref, field)
        synthetic |= not isinstance(source, Upload) and source.synthetic
        if isinstance(source, Run):
            depends_on[source.id] = None
        elif isinstance(source, Dataset) and source.run_id is not None:
            bringer = db.get_one(Run, source.run_id)
            # Read once it is there: until then the run waits.
            depends_on[bringer.id] = None
            synthetic |= bringer.synthetic
    check_labelled(db, inputs, field)
    return list(depends_on), synthetic


def with_artifacts(
    db: Session, stage: str, inputs: Mapping[str, InputRef], field: str
) -> dict[str, InputRef]:
    """The inputs, with the artifact named where a run is given alone and one of its artifacts fits. Raises Invalid."""
    roles = STAGES[stage].inputs
    return {
        role: _with_artifact(
            db, ref, (roles[role].artifact, *roles[role].also), f"{field}.{role}", preferred=role
        )
        if role in roles
        else ref
        for role, ref in inputs.items()
    }


def _with_artifact(
    db: Session, ref: InputRef, fitting: Sequence[str], field: str, *, preferred: str
) -> InputRef:
    source = db.get(Run, ref.run) if ref.run is not None and ref.artifact is None else None
    if source is None or source.stage not in STAGES:
        return ref
    made: Sequence[str] = list(STAGES[source.stage].outputs)
    if source.state == RunState.succeeded.value:
        made = db.scalars(
            select(Artifact.name).where(Artifact.run_id == source.id).order_by(Artifact.name)
        ).all()
    if "source" in fitting:  # a source may be anything
        fitting = made
    try:
        return ref.model_copy(update={"artifact": the_artifact(made, fitting, preferred)})
    except ValueError as error:
        raise Invalid(field, f"the run {source.name!r} is given without an artifact: {error}") from error


def check_labelled(db: Session, inputs: Mapping[str, InputRef], field: str) -> None:
    """Labels fit the posts that they were made from, and no others. Raises Invalid where both are known to differ."""
    posts, labels = inputs.get("posts"), inputs.get("labels")
    if posts is None or labels is None or labels.run is None:
        return
    labelling = db.get_one(Run, labels.run)
    if "posts" not in labelling.inputs:
        return
    labelled = InputRef.model_validate(labelling.inputs["posts"])
    found, wanted = _content(db, posts), _content(db, labelled)
    if labelled != posts and None not in (found, wanted) and found != wanted:
        made_from = db.get_one(Run, labelled.run).name
        raise Invalid(
            f"{field}.posts", f"are not those that {labelling.name!r} labelled: take those of {made_from!r}"
        )


def _content(db: Session, ref: InputRef) -> str | None:
    """SHA-256 of a run's artifact, where it is there."""
    of_it = (Artifact.run_id == ref.run, Artifact.name == ref.artifact)
    return db.scalar(select(Artifact.sha256).where(*of_it)) if ref.run is not None else None


def needed_inputs(stage: str, spec: Spec) -> set[str]:
    """Roles that this spec cannot do without."""
    needed = {role for role, entry in STAGES[stage].inputs.items() if entry.required}
    if isinstance(spec, EvaluateSpec) and spec.reads_images and spec.weights.kind == "pretrained":
        needed.add("checkpoint")
    if isinstance(spec, PretrainSpec) and spec.objective == "vise":
        needed.add("labels")
    if isinstance(spec, IngestSpec) and spec.source.kind != "sample":
        needed.add("source")
    if isinstance(spec, FetchSpec) and spec.url is None:
        needed.add("archive")
    return needed


def check_input(db: Session, stage: str, role: str, ref: InputRef, field: str) -> Run | Dataset | Upload:
    """What the reference names: a run of a stage, a data set, an upload. Raises Invalid with the field's path."""
    roles = STAGES[stage].inputs
    if role not in roles:
        raise Invalid(f"{field}.{role}", f"{stage} takes {', '.join(roles) or 'no inputs'}")
    if (ref.upload is None) != (roles[role].artifact != "upload"):
        raise Invalid(f"{field}.{role}", "takes an uploaded file, and only that does")
    if ref.upload is not None:
        sent = db.get(Upload, ref.upload)
        if sent is None:
            raise Invalid(f"{field}.{role}.upload", f"there is no upload {ref.upload}")
        return sent
    if ref.dataset is not None:
        dataset = db.get(Dataset, ref.dataset)
        if dataset is None:
            raise Invalid(f"{field}.{role}.dataset", f"there is no data set {ref.dataset}")
        bringer = db.get(Run, dataset.run_id) if dataset.run_id is not None else None
        if bringer is not None and bringer.state in (RunState.failed.value, RunState.cancelled.value):
            raise Invalid(f"{field}.{role}.dataset", f"{dataset.name!r} could not be brought in")
        return dataset
    source = db.get(Run, ref.run) if ref.run is not None else None
    if source is None or source.kind != "stage":
        raise Invalid(f"{field}.{role}.run", f"there is no run of a stage with the id {ref.run or ref.step}")
    if ref.artifact not in STAGES[source.stage or ""].outputs:
        outputs = ", ".join(STAGES[source.stage or ""].outputs)
        raise Invalid(f"{field}.{role}.artifact", f"{source.stage} makes {outputs}, not {ref.artifact}")
    if not roles[role].takes(ref.artifact or ""):
        raise Invalid(f"{field}.{role}.artifact", f"takes {roles[role].artifact}, not {ref.artifact}")
    if ref.artifact == "predictor" and source.spec.get("setup", "image") != "image":
        raise Invalid(
            f"{field}.{role}.artifact",
            f"{source.name!r} makes no predictor: it reads texts (setup {source.spec['setup']}), and a predictor "
            "answers for an image alone",
        )
    if source.state in (RunState.failed.value, RunState.cancelled.value):
        raise Invalid(f"{field}.{role}.run", f"the run {source.name!r} has ended as {source.state}")
    return source


def _parent(
    db: Session, kind: str, name: str, spec: dict[str, Any], tags: list[str], user: UUID | None
) -> Run:
    parent = Run(
        kind=kind, name=name, state=RunState.queued.value, spec=spec, tags=tags, queue="none", created_by=user
    )
    db.add(parent)
    db.flush()
    db.add(RunEvent(run_id=parent.id, to_state=parent.state, detail="created"))
    return parent


def _dump(inputs: Mapping[str, InputRef]) -> dict[str, Any]:
    return {role: ref.model_dump(mode="json", exclude_none=True) for role, ref in inputs.items()}


def _at(spec: dict[str, Any], path: str) -> Any:
    node: Any = spec
    for part in path.split("."):
        node = node[part] if isinstance(node, dict) else None
    return node
