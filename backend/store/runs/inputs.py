"""Inputs of a new run: which a stage needs, and whether those of a request fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid
from backend.store.registry.tables import Artifact, Dataset, Upload
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState
from vise_core.specs.base import Spec
from vise_core.specs.recipes.inputs import InputRef, fitting_artifact
from vise_core.specs.stages import STAGES

NONE: Mapping[UUID, Run] = {}


def read_inputs(
    db: Session,
    stage: str,
    spec: Spec,
    inputs: Mapping[str, InputRef],
    field: str,
    new: Mapping[UUID, Run] = NONE,
) -> tuple[list[UUID], bool]:
    """Return (ids of the runs that the inputs come from, whether any input is synthetic).

    ``new``: runs that are to be written together with the one that reads them.
    Raises Invalid, with the path below ``field``, if an input is missing or does not fit its role.
    """
    for role in sorted(STAGES[stage].needed_inputs(spec) - inputs.keys()):
        raise Invalid(f"{field}.{role}", f"is required: {STAGES[stage].inputs[role].help}")
    depends_on: dict[UUID, None] = {}
    synthetic = False
    for role, ref in inputs.items():
        source = check_input(db, stage, role, ref, field, new)
        synthetic |= not isinstance(source, Upload) and source.synthetic
        if isinstance(source, Run):
            depends_on[source.id] = None
        elif isinstance(source, Dataset) and source.run_id is not None:
            # The new run waits until the data set has been downloaded.
            fetch = db.get_one(Run, source.run_id)
            depends_on[fetch.id] = None
            synthetic |= fetch.synthetic
    check_labelled(db, inputs, field, new)
    return list(depends_on), synthetic


def with_artifacts(
    db: Session, stage: str, inputs: Mapping[str, InputRef], field: str, new: Mapping[UUID, Run] = NONE
) -> dict[str, InputRef]:
    """Return the inputs, with the fitting artifact filled in where a reference names only a run.

    Raises Invalid if no artifact fits a role, or several do.
    """
    roles = STAGES[stage].inputs
    return {
        role: with_artifact(
            db, ref, (roles[role].artifact, *roles[role].also), f"{field}.{role}", new, preferred=role
        )
        if role in roles
        else ref
        for role, ref in inputs.items()
    }


def with_artifact(
    db: Session,
    ref: InputRef,
    fitting: Sequence[str],
    field: str,
    new: Mapping[UUID, Run] = NONE,
    *,
    preferred: str,
) -> InputRef:
    """Return the reference with its artifact: of those in ``fitting``, the one that the run has.

    Raises Invalid if none fits, or several do and none is ``preferred``.
    """
    source = _run(db, ref, new) if ref.artifact is None else None
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
        return ref.model_copy(update={"artifact": fitting_artifact(made, fitting, preferred)})
    except ValueError as error:
        raise Invalid(field, f"the run {source.name!r} is given without an artifact: {error}") from error


def check_input(
    db: Session, stage: str, role: str, ref: InputRef, field: str, new: Mapping[UUID, Run] = NONE
) -> Run | Dataset | Upload:
    """Return the row that a reference names: a run of a stage, a data set, an upload.

    Raises Invalid if it names no row, or one that does not fit the role, makes no such artifact or has failed.
    """
    roles = STAGES[stage].inputs
    if role not in roles:
        raise Invalid(f"{field}.{role}", f"{stage} takes {', '.join(roles) or 'no inputs'}")
    if (ref.upload is None) != (roles[role].artifact != "upload"):
        raise Invalid(f"{field}.{role}", "takes an uploaded file, and only that does")
    if ref.upload is not None:
        upload = db.get(Upload, ref.upload)
        if upload is None:
            raise Invalid(f"{field}.{role}.upload", f"there is no upload {ref.upload}")
        return upload
    if ref.dataset is not None:
        dataset = db.get(Dataset, ref.dataset)
        if dataset is None:
            raise Invalid(f"{field}.{role}.dataset", f"there is no data set {ref.dataset}")
        fetch = db.get(Run, dataset.run_id) if dataset.run_id is not None else None
        if fetch is not None and fetch.state in (RunState.failed.value, RunState.cancelled.value):
            raise Invalid(f"{field}.{role}.dataset", f"{dataset.name!r} could not be imported")
        return dataset
    source = _run(db, ref, new)
    if source is None or source.kind != "stage":
        raise Invalid(f"{field}.{role}.run", f"there is no run of a stage with the id {ref.run or ref.step}")
    maker = STAGES[source.stage or ""]
    if ref.artifact not in maker.outputs:
        outputs = ", ".join(maker.outputs)
        raise Invalid(f"{field}.{role}.artifact", f"{source.stage} makes {outputs}, not {ref.artifact}")
    if not roles[role].takes(ref.artifact or ""):
        raise Invalid(f"{field}.{role}.artifact", f"takes {roles[role].artifact}, not {ref.artifact}")
    reason = maker.missing(source.spec).get(ref.artifact or "")
    if reason is not None:
        raise Invalid(f"{field}.{role}.artifact", f"{source.name!r} makes no {ref.artifact}: {reason}")
    if source.state in (RunState.failed.value, RunState.cancelled.value):
        raise Invalid(f"{field}.{role}.run", f"the run {source.name!r} has ended as {source.state}")
    return source


def check_labelled(
    db: Session, inputs: Mapping[str, InputRef], field: str, new: Mapping[UUID, Run] = NONE
) -> None:
    """Raise Invalid if the posts of the inputs are known to differ from those that the labels were made from."""
    posts, labels = inputs.get("posts"), inputs.get("labels")
    if posts is None or labels is None or labels.run is None:
        return
    labelling = _run(db, labels, new)
    if labelling is None or "posts" not in labelling.inputs:
        return
    labelled = InputRef.model_validate(labelling.inputs["posts"])
    if labelled == posts or not new.keys().isdisjoint((posts.run, labelled.run)):
        return
    digests = _content(db, posts), _content(db, labelled)
    if None not in digests and digests[0] != digests[1]:
        made_from = db.get_one(Run, labelled.run).name
        raise Invalid(
            f"{field}.posts", f"are not those that {labelling.name!r} labelled: take those of {made_from!r}"
        )


def _run(db: Session, ref: InputRef, new: Mapping[UUID, Run]) -> Run | None:
    """Return the run that a reference names, of those that are not written yet too."""
    if ref.run is None:
        return None
    return new.get(ref.run) or db.get(Run, ref.run)


def _content(db: Session, ref: InputRef) -> str | None:
    """Return the SHA-256 of a run's artifact; None if there is no such artifact yet."""
    if ref.run is None:
        return None
    return db.scalar(select(Artifact.sha256).where(Artifact.run_id == ref.run, Artifact.name == ref.artifact))
