"""Data sets: folders below the server's data root, or what a run brought in. A request never names any other path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vise_client.schemas import DatasetCreate, DatasetView, RunCreate, RunState
from vise_core.specs.data import DataKind, FetchSpec, SurveyResult
from vise_core.specs.integrity import IntegrityReport
from vise_core.specs.recipes import InputRef

from . import runs
from .errors import Conflict, Invalid, NotFound
from .tables import Artifact, Dataset, Run, Upload

DATA, SURVEY = "data", "survey"


def register(db: Session, root: Path | None, request: DatasetCreate, user: UUID | None = None) -> Dataset:
    """A folder, and a run that looks through it.

    Raises Invalid where the folder is not below the data root, Conflict where the name is taken.
    """
    folder = resolve(root, request.folder)
    dataset = _add(db, Dataset(**request.model_dump(), synthetic=_says_synthetic(folder)))
    look = RunCreate(
        stage=SURVEY,
        name=f"Look through {request.name}",
        spec={"kind": request.kind},
        inputs={"dataset": InputRef(dataset=dataset.id)},
    )
    dataset.survey_id = runs.create_run(db, look, user).id
    return dataset


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
    """A data set that a run unpacks or downloads; until it has, runs that read it wait.

    Raises Conflict where the name is taken, Invalid for an address that cannot be one.
    """
    if db.scalar(select(Dataset.id).where(Dataset.name == name)) is not None:
        raise Conflict(f"there is a data set named {name!r} already")
    try:
        spec = FetchSpec(kind=kind, url=url, sha256=sha256)
    except ValidationError as error:
        first = error.errors()[0]
        raise Invalid(str(first["loc"][-1]), str(first["msg"]).removeprefix("Value error, ")) from error
    body = RunCreate(
        stage="fetch",
        name=f"Bring in {name}",
        spec=spec.model_dump(mode="json"),
        inputs={"archive": InputRef(upload=upload.id)} if upload is not None else {},
    )
    run = runs.create_run(db, body, user)
    source = upload.name if upload is not None else str(url)
    return _add(
        db,
        Dataset(name=name, kind=kind, description=description, source=source, run_id=run.id, synthetic=False),
    )


def resolve(root: Path | None, folder: str) -> Path:
    """The folder on this machine. Links are followed before it is checked, so none leads out."""
    if root is None:
        raise Invalid("folder", "this server has no data root: set VISE_DATA_ROOT and start it again")
    place = (root / folder).resolve()
    if not place.is_relative_to(root.resolve()) or "\0" in folder:
        raise Invalid("folder", "must lie below the server's data root")
    if not place.is_dir():
        raise Invalid("folder", f"there is no folder {folder!r} below the server's data root")
    return place


def get(db: Session, dataset_id: UUID) -> Dataset:
    dataset = db.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(f"there is no data set {dataset_id}")
    return dataset


def list_datasets(
    db: Session, *, search: str = "", kind: str | None = None, offset: int = 0, limit: int = 1000
) -> list[Dataset]:
    statement = select(Dataset).order_by(Dataset.name).offset(offset).limit(limit)
    if search:
        statement = statement.where(Dataset.name.icontains(search, autoescape=True))
    if kind is not None:
        statement = statement.where(Dataset.kind == kind)
    return list(db.scalars(statement))


def views(db: Session, found: Sequence[Dataset]) -> list[DatasetView]:
    """With what the runs that brought them in, or looked through them, say: three queries for any number."""
    ids = {one.run_id for one in found} | {one.survey_id for one in found}
    by_id = {run.id: run for run in db.scalars(select(Run).where(Run.id.in_(ids)))}
    surveys = select(Artifact.run_id, Artifact.id).where(Artifact.run_id.in_(ids), Artifact.name == SURVEY)
    pictures = {row.run_id: row.id for row in db.execute(surveys)}
    return [_view(one, by_id, pictures) for one in found]


def view(db: Session, dataset: Dataset) -> DatasetView:
    """One data set, with the newest integrity checks on it."""
    (found,) = views(db, [dataset])
    return found.model_copy(update={"integrity": _integrity(db, dataset.id)})


def delete(db: Session, dataset_id: UUID) -> None:
    """Forget the entry; the files stay."""
    db.delete(get(db, dataset_id))


def _add(db: Session, dataset: Dataset) -> Dataset:
    try:
        with db.begin_nested():
            db.add(dataset)
    except IntegrityError as error:
        raise Conflict(f"there is a data set named {dataset.name!r} already") from error
    return dataset


def _view(dataset: Dataset, by_id: dict[UUID, Run], pictures: dict[UUID, UUID]) -> DatasetView:
    plain = DatasetView.model_validate(dataset)
    looked = by_id.get(dataset.run_id or dataset.survey_id)  # type: ignore[arg-type]
    if looked is None:
        return plain
    changes: dict[str, object] = {"thumbnails": pictures.get(looked.id)}
    if looked.result is not None:
        changes["found"] = SurveyResult.model_validate(looked.result)
        changes["synthetic"] = dataset.synthetic or looked.synthetic
    if dataset.run_id is not None and looked.state != RunState.succeeded.value:
        over = RunState(looked.state).final
        changes |= {"state": "failed" if over else "arriving", "reason": looked.reason}
    return plain.model_copy(update=changes)


def _integrity(db: Session, dataset_id: UUID) -> IntegrityReport | None:
    """Of the newest evaluation or integrity run that read the data set."""
    result = db.scalar(
        select(Run.result)
        .where(
            Run.stage.in_(["evaluate", "integrity"]),
            Run.state == RunState.succeeded.value,
            Run.inputs["dataset"]["dataset"].astext == str(dataset_id),
        )
        .order_by(Run.id.desc())
        .limit(1)
    )
    found = (result or {}).get("report") or (result or {}).get("integrity")
    return IntegrityReport.model_validate(found) if found else None


def _says_synthetic(folder: Path) -> bool:
    for name in ("dataset.json", "index.json"):
        try:
            return bool(json.loads((folder / name).read_bytes()).get("synthetic"))
        except (OSError, ValueError, AttributeError):
            continue
    return False
