"""Labels that users gave to the images of predictions: a labelled set that grows by use."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.cursors import newest_first
from backend.store.database import Sessions
from backend.store.errors import Conflict, Invalid, NotFound
from backend.store.registry.tables import Model
from backend.store.rows import get_row
from backend.store.serving.tables import Feedback
from vise_client.schemas.predictions import FeedbackCount, FeedbackView
from vise_client.schemas.wire import Page
from vise_core.escaping import csv_row
from vise_core.files.tars import END, tar_member
from vise_core.formats import data_card
from vise_core.specs.tasks.kinds import CsvTask

from .predictions import get, picture

FOLDER = "feedback"


def find(db: Session, prediction_id: UUID) -> Feedback | None:
    """Return the feedback on a prediction, if there is any."""
    return db.scalar(select(Feedback).where(Feedback.prediction_id == prediction_id))


def give(db: Session, prediction_id: UUID, label: str, user: UUID | None) -> None:
    """Label the image of a finished prediction; a second call changes the label.

    Raises NotFound if there is no such prediction, Conflict if it has not succeeded or its image has expired, and
    Invalid for a label that is no class of its model.
    """
    prediction = get(db, prediction_id)
    if prediction.state != "succeeded":
        raise Conflict(f"the prediction is {prediction.state}; only a succeeded prediction can be labelled")
    model = db.get_one(Model, prediction.model_id)
    if label not in model.classes:
        raise Invalid("label", f"{model.name!r} has the classes {', '.join(model.classes)}")
    feedback = find(db, prediction_id)
    if feedback is not None:
        feedback.label, feedback.created_by = label, user
        return
    try:
        data = picture(db, prediction_id)
    except NotFound as error:
        raise Conflict(
            "the stored image of this prediction has expired; predict the image again and label that prediction"
        ) from error
    db.add(
        Feedback(
            prediction_id=prediction_id,
            task=model.task,
            label=label,
            predicted=prediction.predicted,
            model=model.name,
            picture=data,
            sha256=hashlib.sha256(data).hexdigest(),
            synthetic=prediction.synthetic,
            created_by=user,
        )
    )


def take_back(db: Session, prediction_id: UUID) -> None:
    """Delete the feedback on a prediction: the label and the kept picture. Raises NotFound if it has none."""
    feedback = find(db, prediction_id)
    if feedback is None:
        raise NotFound(f"the prediction {prediction_id} has no feedback")
    db.delete(feedback)


def get_feedback(db: Session, feedback_id: UUID) -> Feedback:
    """Return an image of the labelled set. Raises NotFound if none has this id."""
    return get_row(db, Feedback, feedback_id, "labelled image")


def delete(db: Session, feedback_id: UUID) -> None:
    """Delete an image of the labelled set, with its label. Raises NotFound if none has this id."""
    db.delete(get_feedback(db, feedback_id))


def counts(db: Session) -> list[FeedbackCount]:
    """Return the number of images by task and label. An image that was labelled twice counts once."""
    newest = _newest().subquery()
    rows = db.execute(
        select(
            newest.c.task,
            newest.c.label,
            func.count(),
            func.count().filter(newest.c.predicted != newest.c.label),
        )
        .group_by(newest.c.task, newest.c.label)
        .order_by(newest.c.task, newest.c.label)
    )
    return [FeedbackCount(task=t, label=label, images=n, corrected=wrong) for t, label, n, wrong in rows]


def list_feedback(
    db: Session, *, task: str | None = None, cursor: UUID | None = None, limit: int = 50
) -> Page[FeedbackView]:
    """Return one page of the labels that users gave, newest first."""
    statement = select(Feedback, User.email).outerjoin(User, User.id == Feedback.created_by)
    if task is not None:
        statement = statement.where(Feedback.task == task)
    rows, next_cursor = newest_first(db, statement, Feedback.id, cursor, limit)
    items = [FeedbackView.of(row, created_by=email) for row, email in rows]
    return Page[FeedbackView](items=items, next_cursor=next_cursor)


def export(sessions: Sessions, task: str) -> Iterator[bytes]:
    """Return a tar of the labelled set in the layout of ``CsvTask``: labels.csv and images/, streamed.

    An image that was labelled more than once is included once, with its newest label, so that no split has it on both
    sides. No connection is held between two pieces, however slowly the client reads. Raises NotFound if no image of the
    task has a label.
    """
    with sessions() as db:
        rows = db.execute(_newest(task).order_by(Feedback.sha256)).all()
    if not rows:
        raise NotFound(f"no image of the task {task!r} has a label yet")
    return _tar(sessions, task, [row._mapping for row in rows])


def _newest(task: str | None = None) -> Select[Any]:
    columns = [c for c in Feedback.__table__.c if c.name != "picture"]
    statement = select(*columns).ext(distinct_on(Feedback.task, Feedback.sha256))
    if task is not None:
        statement = statement.where(Feedback.task == task)
    return statement.order_by(Feedback.task, Feedback.sha256, Feedback.id.desc())


def _tar(sessions: Sessions, task: str, rows: list[RowMapping]) -> Iterator[bytes]:
    layout = CsvTask()
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    header = [layout.path_column, layout.label_column, "predicted", "model", "synthetic", "prediction"]
    writer.writerow(csv_row(header))
    for row in rows:
        values = [row["label"], row["predicted"], row["model"], row["synthetic"], row["prediction_id"]]
        writer.writerow(csv_row([_path(row["sha256"]), *values]))
    facts = {"name": f"{task} (feedback)", "synthetic": any(row["synthetic"] for row in rows)}
    yield from _member(layout.manifest, table.getvalue().encode())
    yield from _member(data_card.FILE, data_card.data_card(facts))
    for row in rows:
        # One picture at a time: the set may be larger than memory.
        with sessions() as db:
            data = db.scalar(select(Feedback.picture).where(Feedback.id == row["id"]))
        if data is not None:
            yield from _member(_path(row["sha256"]), data)
    yield END


def _path(sha256: str) -> str:
    return f"images/{sha256[:32]}.jpg"


def _member(path: str, data: bytes) -> Iterator[bytes]:
    return tar_member(f"{FOLDER}/{path}", len(data), [data])
