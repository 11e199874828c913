"""Data sets: folders below the data root, or the output of a fetch run. Requests cannot name other paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Select, insert, select, text
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from backend.store.changes import check_expected
from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.registry.tables import Artifact, Dataset, DatasetRead, Upload
from backend.store.rows import get_row, unique
from backend.store.runs.create import Allowance, create_run
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.transition import LIVE
from backend.store.runs.tables import Run, RunLog
from backend.store.upkeep.forget_runs import with_derived
from backend.store.upkeep.marks import mark, mark_artifacts
from vise_client.schemas.datasets import DatasetCreate, DatasetUpdate, DatasetVersionView, DatasetView
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from vise_core.errors import BadInput
from vise_core.formats.data_card import says_synthetic
from vise_core.specs.fetch import FetchSpec
from vise_core.specs.integrity import IntegrityReport
from vise_core.specs.recipes.inputs import InputRef
from vise_core.specs.survey import DataKind

from . import dataset_versions, folders
from .dataset_reads import newest_versions
from .dataset_versions import SURVEY

_ARCHIVES = text(
    "SELECT uploads.id FROM runs, jsonb_each(inputs) input JOIN uploads ON uploads.id::text = input.value->>'upload' "
    "WHERE runs.id = :run AND NOT EXISTS (SELECT FROM runs other, jsonb_each(other.inputs) input "
    "WHERE other.id <> :run AND input.value->>'upload' = uploads.id::text)"
)
"""The uploaded archives that a run names, and no other run."""


def register(db: Session, root: Path | None, request: DatasetCreate, user: UUID | None = None) -> Dataset:
    """Register a folder and create the run that surveys it.

    Raises Invalid if the folder is not below the data root, Conflict if the name is taken.
    """
    folder = folders.resolve(root, request.folder)
    dataset = _add(db, Dataset(**request.model_dump(), synthetic=_says_synthetic(folder)))
    dataset.survey_id = _survey(db, dataset, f"Survey {request.name}", user).id
    return dataset


def rescan(db: Session, root: Path | None, dataset_id: UUID, user: UUID | None = None) -> Run:
    """Survey a registered folder again; changed content becomes the next version.

    Returns the unfinished survey if there is one. Raises NotFound if no data set has this id, Conflict for an upload or
    download, which never changes, and Invalid if the folder is missing.
    """
    dataset = db.scalar(select(Dataset).where(Dataset.id == dataset_id).with_for_update())
    if dataset is None:
        raise NotFound(f"there is no data set {dataset_id}")
    if dataset.folder is None:
        raise Conflict(f"{dataset.name!r} was uploaded or downloaded, so it never changes")
    folders.resolve(root, dataset.folder)
    unfinished = db.scalar(_surveys(dataset_id).limit(1))
    if unfinished is not None:
        return unfinished
    run = _survey(db, dataset, f"Rescan {dataset.name}", user)
    dataset.survey_id = run.id
    return run


def update(db: Session, dataset_id: UUID, request: DatasetUpdate) -> Dataset:
    """Rename or describe a data set. Raises NotFound if no data set has this id, and Conflict if the name is taken."""
    dataset = get(db, dataset_id)
    check_expected(db, dataset, request)
    name = dataset.name if request.name is None else request.name.strip()
    with unique(db, f"a data set named {name!r}"):
        dataset.name = name
        if request.description is not None:
            dataset.description = request.description
    return dataset


def _survey(db: Session, dataset: Dataset, name: str, user: UUID | None) -> Run:
    body = RunCreate(
        stage=SURVEY,
        name=name,
        spec={"kind": dataset.kind},
        inputs={"dataset": InputRef(dataset=dataset.id)},
    )
    return create_run(db, body, user)


def _surveys(dataset_id: UUID) -> Select[Run]:
    """Select the unfinished surveys of a data set, newest first."""
    return (
        select(Run)
        .join(DatasetRead, DatasetRead.run_id == Run.id)
        .where(DatasetRead.dataset_id == dataset_id, Run.stage == SURVEY)
        .where(Run.state.in_([state.value for state in LIVE]))
        .order_by(Run.id.desc())
    )


def uploaded(db: Session, name: str, kind: DataKind, description: str, upload: Upload) -> Dataset | None:
    """Return the data set that the same upload made before; its archive is not unpacked again.

    Name, options, file name, archive and user must be the same, and the import neither failed nor cancelled.
    """
    asked = (Dataset.kind == kind, Dataset.description == description, Dataset.source == upload.name)
    dataset = db.scalar(select(Dataset).where(Dataset.name == name, *asked))
    run = db.get(Run, dataset.run_id) if dataset is not None and dataset.run_id is not None else None
    upload_id = run.inputs.get("archive", {}).get("upload") if run is not None else None
    ended = {RunState.failed.value, RunState.cancelling.value, RunState.cancelled.value}
    if run is None or upload_id is None or run.state in ended:
        return None
    first = db.get(Upload, UUID(upload_id))
    same = first is not None and (first.sha256, first.created_by) == (upload.sha256, upload.created_by)
    return dataset if same else None


def bring_in(
    db: Session,
    name: str,
    kind: DataKind,
    *,
    description: str = "",
    upload: Upload | None = None,
    url: str | None = None,
    sha256: str | None = None,
    user: UUID | None = None,
) -> Dataset:
    """Create a data set and the run that unpacks or downloads it; runs that read the data set wait for that run.

    Raises Conflict if the name is taken, Invalid for an invalid URL.
    """
    if db.scalar(select(Dataset.id).where(Dataset.name == name)) is not None:
        raise Conflict(f"there is a data set named {name!r} already; delete it or choose another name")
    try:
        spec = FetchSpec(kind=kind, url=url, sha256=sha256)
    except ValidationError as error:
        first = error.errors()[0]
        raise Invalid(str(first["loc"][-1]), str(first["msg"]).removeprefix("Value error, ")) from error
    body = RunCreate(
        stage="fetch",
        name=f"Import {name}",
        spec=spec.model_dump(mode="json"),
        inputs={"archive": InputRef(upload=upload.id)} if upload is not None else {},
    )
    # The caller has checked that the user is an admin, as for everything that changes data sets.
    run = create_run(db, body, user, Allowance(admin=True))
    source = upload.name if upload is not None else str(url)
    return _add(
        db,
        Dataset(name=name, kind=kind, description=description, source=source, run_id=run.id, synthetic=False),
    )


def get(db: Session, dataset_id: UUID) -> Dataset:
    """Return a data set. Raises NotFound if no data set has this id."""
    return get_row(db, Dataset, dataset_id, "data set")


def list_datasets(
    db: Session, *, search: str = "", kind: str | None = None, offset: int = 0, limit: int = 1000
) -> list[Dataset]:
    """Return the data sets by name. ``search`` matches part of the name."""
    statement = select(Dataset).order_by(Dataset.name).offset(offset).limit(limit)
    if search:
        statement = statement.where(Dataset.name.icontains(search, autoescape=True))
    if kind is not None:
        statement = statement.where(Dataset.kind == kind)
    return list(db.scalars(statement))


def views(db: Session, rows: Sequence[Dataset]) -> list[DatasetView]:
    """Return data sets with their newest version and survey or fetch run, with a constant number of queries."""
    newest = newest_versions(db, [dataset.id for dataset in rows])
    versions = dict(zip(newest, dataset_versions.views(db, list(newest.values())), strict=True))
    run_ids = {dataset.run_id for dataset in rows} | {dataset.survey_id for dataset in rows}
    by_id = {run.id: run for run in db.scalars(select(Run).where(Run.id.in_(run_ids)))}
    survey_ids = {version.survey_id for version in versions.values()}
    surveys = select(Artifact.run_id, Artifact.id).where(
        Artifact.run_id.in_(survey_ids), Artifact.name == SURVEY
    )
    pictures = {row.run_id: row.id for row in db.execute(surveys)}
    return [_view(dataset, by_id, versions.get(dataset.id), pictures) for dataset in rows]


def view(db: Session, dataset: Dataset) -> DatasetView:
    """Return a data set with the newest integrity report on its newest version."""
    (view,) = views(db, [dataset])
    sha256 = view.version.sha256 if view.version is not None else None
    return view.model_copy(update={"integrity": _integrity(db, dataset.id, sha256)})


def delete(db: Session, dataset_id: UUID) -> None:
    """Remove a data set; its runs stay, and keep the name and version of what they read.

    A registered folder stays as it is. Uploaded or downloaded files are removed, with the artifact that held them and the
    archive, and an unfinished import is cancelled. The logs of the runs that read it, directly or not, say so.
    Raises NotFound if no data set has this id, and Conflict if an unfinished run reads it.
    """
    dataset = get(db, dataset_id)
    for survey in db.scalars(_surveys(dataset_id)):
        request_cancel(db, survey.id)
    reader = db.scalar(
        select(Run.name)
        .join(DatasetRead, DatasetRead.run_id == Run.id)
        .where(DatasetRead.dataset_id == dataset_id, Run.stage != SURVEY)
        .where(Run.state.in_([state.value for state in LIVE]))
        .order_by(Run.id)
        .limit(1)
    )
    if reader is not None:
        raise Conflict(
            f"the unfinished run {reader!r} reads this data set; cancel that run or wait until it ends"
        )
    if dataset.run_id is not None:
        if RunState(db.get_one(Run, dataset.run_id).state) in LIVE:
            request_cancel(db, dataset.run_id)
        mark_artifacts(db, [dataset.run_id], dataset_versions.DATA)
        db.execute(
            sql_delete(Artifact).where(
                Artifact.run_id == dataset.run_id, Artifact.name == dataset_versions.DATA
            )
        )
        _delete_archives(db, dataset.run_id)
    readers = db.scalars(select(DatasetRead.run_id).where(DatasetRead.dataset_id == dataset_id)).all()
    message = f"The data set {dataset.name!r}, which this run or a run before it read, has been removed."
    notes = [{"run_id": run, "level": "warning", "message": message} for run in with_derived(db, readers)]
    if notes:
        db.execute(insert(RunLog), notes)
    db.delete(dataset)


def _delete_archives(db: Session, run_id: UUID) -> None:
    """Delete the uploaded archives that this run alone names, and mark their objects."""
    ids = db.scalars(_ARCHIVES, {"run": run_id}).all()
    for upload in db.scalars(select(Upload).where(Upload.id.in_(ids))):
        mark(db, [upload.sha256])
        db.delete(upload)


def _add(db: Session, dataset: Dataset) -> Dataset:
    with unique(db, f"a data set named {dataset.name!r}"):
        db.add(dataset)
    return dataset


def _view(
    dataset: Dataset,
    by_id: Mapping[UUID, Run],
    version: DatasetVersionView | None,
    pictures: Mapping[UUID, UUID],
) -> DatasetView:
    changes: dict[str, object] = {"version": version}
    if version is not None:
        changes["survey"] = version.survey
        changes["thumbnails"] = pictures.get(version.survey_id) if version.survey_id else None
        changes["synthetic"] = dataset.synthetic or (version.survey is not None and version.survey.synthetic)
    survey = by_id.get(dataset.survey_id) if dataset.survey_id else None
    if survey is not None:
        changes |= {"survey_state": RunState(survey.state), "survey_reason": survey.reason}
    maker = by_id.get(dataset.run_id) if dataset.run_id else None
    if maker is not None and maker.state != RunState.succeeded.value:
        final = RunState(maker.state).final
        changes |= {"state": "failed" if final else "arriving", "reason": maker.reason}
    return DatasetView.model_validate(dataset).model_copy(update=changes)


def _integrity(db: Session, dataset_id: UUID, sha256: str | None) -> IntegrityReport | None:
    """Return the report of the newest evaluation or integrity run that read this content of the data set."""
    read = (DatasetRead.dataset_id == dataset_id, DatasetRead.role == dataset_versions.ROLE)
    result = db.scalar(
        select(Run.result)
        .join(DatasetRead, DatasetRead.run_id == Run.id)
        .where(
            Run.stage.in_(["evaluate", "integrity"]),
            Run.state == RunState.succeeded.value,
            *read,
            DatasetRead.sha256.is_not_distinct_from(sha256),
        )
        .order_by(Run.id.desc())
        .limit(1)
    )
    report = (result or {}).get("report") or (result or {}).get("integrity")
    return IntegrityReport.model_validate(report) if report else None


def _says_synthetic(folder: Path) -> bool:
    """Return True if the folder declares itself sample data; unreadable declarations are ignored."""
    # Imports NumPy, which slows the start of the API.
    from vise_core.formats.posts import INDEX_FILE, read_posts_index

    try:
        if says_synthetic(folder):
            return True
        return (folder / INDEX_FILE).is_file() and read_posts_index(folder).synthetic
    except (BadInput, OSError):
        return False
