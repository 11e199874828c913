"""Everything that users made is deleted by the API: afterwards the storage has no object and the tables no row of it."""

import io
import zipfile
from uuid import UUID

from PIL import Image
from sqlalchemy import func, select

from backend.store.database import Sessions
from backend.store.registry.tables import Artifact, Model
from backend.store.reports.tables import Ablation
from backend.store.runs.states import outbox
from backend.store.serving.tables import Engagement
from backend.store.tables import Base
from backend.store.upkeep import gc, removal_work
from tests.pictures import encoded
from tests.worker.storage.lab import GONE, Lab
from vise_client.client import ViseClient
from vise_client.schemas.accounts import UserCreate
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.removals import RemovalCreate
from vise_client.schemas.run_lists import RunListState, SavedViewCreate
from vise_client.schemas.runs import BulkRequest

IMAGE = encoded(Image.new("RGB", (8, 8), "red"), "PNG")
STAY = {"users", "tokens", "audit", "login_attempts", "garbage", "request_keys"}
"""Accounts and their log; what the storage had and has no more; keys of requests, which expire."""


def rows(sessions: Sessions) -> dict[str, int]:
    """Table → number of its rows, of those that have any."""
    with sessions() as db:
        counts = {
            table.name: db.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }
    return {name: number for name, number in counts.items() if number}


def fill(lab: Lab, vise: ViseClient) -> None:
    """Beside the lab's runs, with posts, a clusterer's labels, checkpoint, explorer, predictor, model and feedback."""
    place = lab.place
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/a.png", IMAGE)
    archive.seek(0)
    vise.upload_dataset("uploaded", "uploaded.zip", archive)
    vise.save_view(SavedViewCreate(name="view", state=RunListState(), shared=True))
    with place.sessions() as db:
        model = db.scalars(select(Model.id)).one()
        checkpoint = db.scalars(select(Artifact.id).where(Artifact.name == "checkpoint")).one()
    # No worker answers: the image waits in the storage.
    vise.predict(IMAGE, model_id=model, wait=0)
    with place.sessions.begin() as db:
        db.add(Engagement(checkpoint_id=checkpoint, state="queued", options={}))
        db.add(Ablation(name="a", kind="pretext", baseline_id=lab.evaluate, changes=[]))
    run_id, reporter = place.held()
    reporter.checkpoint(place.files("a state"))
    reporter.metrics(1, {"loss": 1.0})
    reporter.close()
    place.change(run_id, state="failed", finished_at=func.now(), lease_until=None)
    vise.create_run(RunCreate(stage="ingest", spec={"source": {"kind": "sample"}}))
    vise.create_user(UserCreate(email="ann@example.org", password="correct horse battery"))


def delete_all(vise: ViseClient) -> None:
    prediction = next(row for row in vise.iterate(vise.predictions) if row.state == "queued")
    vise.delete_prediction(prediction.id)
    # With the other predictions, whose labels stay.
    for model in vise.models():
        vise.delete_model(model.id)
    assert list(vise.iterate(vise.predictions)) == []
    assert len(list(vise.iterate(vise.feedback))) == 2
    for label in vise.iterate(vise.feedback):
        vise.delete_feedback(label.id)
    for ablation in vise.ablations():
        vise.delete_ablation(ablation.id)
    for view in vise.views():
        vise.delete_view(view.id)
    for dataset in vise.datasets():
        vise.delete_dataset(dataset.id)
    runs: list[UUID] = [run.id for run in vise.iterate(vise.runs, all=True, limit=200)]
    runs += [run.id for run in vise.iterate(vise.runs, query="archived", all=True, limit=200)]
    vise.bulk(BulkRequest(ids=runs, action="cancel"))
    refused = [outcome for outcome in vise.bulk(BulkRequest(ids=runs, action="delete")) if not outcome.done]
    assert refused == []
    for removal in vise.iterate(vise.removals):
        vise.delete_removal(removal.id)
    for user in vise.users():
        if user.id != vise.me().id:
            vise.delete_user(user.id)


def test_nothing_stays_but_the_log(lab: Lab, vise: ViseClient) -> None:
    place = lab.place
    fill(lab, vise)
    vise.create_removal(RemovalCreate(posts=[GONE]))
    removal_work.work(place.sessions, place.storage, lab.data_root)
    filled = rows(place.sessions)
    needed = {"runs", "artifacts", "models", "predictions", "feedback", "engagement", "uploads", "datasets"}
    needed |= {"ablations", "saved_views", "removals", "run_logs", "run_events", "metric_latest"}
    assert needed <= filled.keys(), needed - filled.keys()
    delete_all(vise)
    settings = place.settings.model_copy(update={"gc_grace_seconds": 0})
    with place.sessions.begin() as db:  # in place of the dispatcher
        outbox.publish_due(db, lambda *_: None)
    # The first pass marks what no row names, the second removes it.
    for _ in range(2):
        gc.remove(place.sessions, place.storage, settings)
    assert [path for path, _ in place.storage.files("")] == []
    assert rows(place.sessions).keys() <= STAY, rows(place.sessions)
    assert [user.email for user in vise.users()] == ["admin@example.org"]
