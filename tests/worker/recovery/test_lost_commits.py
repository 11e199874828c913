"""A transaction whose acknowledgement is lost is recognised when it is sent again: nothing is lost and nothing doubled."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, Dataset, Model, Upload
from backend.store.runs.create import create_run
from backend.store.runs.states.finish import finish_run
from backend.store.runs.tables import Run, RunEvent, RunLog
from backend.store.serving import predictions, uploads
from backend.store.serving.tables import Prediction
from tests.proxy import Proxy, before
from tests.serving import serving
from tests.worker.held_run import hold_run
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from vise_client.schemas.launch import RunClone, RunCreate
from vise_client.schemas.run_states import RunState
from vise_core.specs.models.predict import PredictOptions
from worker import execute, predict
from worker.context import Context
from worker.reporter import StoreReporter
from worker.stage_process import Lease

SPEC = {"source": {"kind": "sample", "posts": 10, "evaluation_images": 60}}


class Place:
    """A database behind a proxy, which loses the response to a COMMIT when a test says so."""

    def __init__(self, settings: Settings, direct: str, proxy: Proxy) -> None:
        self.settings, self.proxy = settings, proxy
        self.engines = [connect(settings.database_url), connect(direct)]
        sessions, self.direct = (session_factory(engine) for engine in self.engines)
        self.context = Context(settings, sessions, Storage(settings.storage_url), "w")
        self.lost = 0

    @contextmanager
    def losing_the_commit_after(self, statement: bytes) -> Iterator[None]:
        """The response to the COMMIT of the first transaction with this statement does not arrive."""
        seen: list[bool] = []

        def on_request(data: bytes) -> bool:
            if statement in data:
                seen.append(True)
            if not seen or b"COMMIT" not in data:
                return False
            self.proxy.on_request = lambda _: False
            self.lost += 1
            return True

        lost = self.lost
        self.proxy.on_request = on_request
        yield
        assert self.lost == lost + 1, "the transaction was not committed as this test expects"

    def count(self, table: type, *where: object) -> int:
        with self.direct() as db:
            return db.scalar(select(func.count()).select_from(table).where(*where)) or 0  # type: ignore[arg-type]


@pytest.fixture
def place(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Place]:
    with before(database_url) as (through, proxy):
        settings = Settings(
            database_url=through,
            broker_url=broker_url,
            storage_url=f"file://{tmp_path / 'storage'}",
            home=tmp_path,
        )
        made = Place(settings, database_url, proxy)
        yield made
        for engine in made.engines:
            engine.dispose()


def token_of(place: Place, role: Role) -> str:
    with place.direct.begin() as db:
        user = users.create_user(db, f"{role}@example.org", None, role)
        return users.issue_token(db, user, "api", lifetime=None)[0]


def test_the_claim_of_a_run(place: Place) -> None:
    with place.direct.begin() as db:
        run_id = create_run(db, RunCreate(stage="ingest", spec=SPEC), None).id
    with place.losing_the_commit_after(b"UPDATE runs"):
        claim = execute._claim(place.context, run_id, threading.Event(), Lease(60))
    assert claim is not None, "it is the worker's own claim"
    assert (claim.token, claim.attempt) == (1, 1)


def test_the_end_of_a_run(place: Place) -> None:
    run_id, token = hold_run(place.context.sessions)
    with place.losing_the_commit_after(b"UPDATE runs"):
        place.context.write(lambda db: finish_run(db, run_id, token, RunState.succeeded, result={}))
    with place.direct() as db:
        assert db.get_one(Run, run_id).state == "succeeded"
    assert place.count(RunEvent, RunEvent.run_id == run_id, RunEvent.to_state == "succeeded") == 1


def test_metrics_log_lines_states_and_artifacts(place: Place, tmp_path: Path) -> None:
    run_id, token = hold_run(place.context.sessions)
    reporter = StoreReporter(place.context, run_id, token)
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "a").write_text("a")
    with place.losing_the_commit_after(b"INSERT INTO run_logs"):
        reporter.log("one")
        reporter.log("two")
        for step in range(5):
            reporter.metrics(step, {"loss": step / 2})
        reporter.flush()
    with place.losing_the_commit_after(b"checkpoint="):
        reporter.checkpoint(folder)
    with place.losing_the_commit_after(b"INSERT INTO artifacts"):
        reporter.artifact("posts", folder)
    reporter.close()
    with place.direct() as db:
        points = db.execute(text("SELECT step, value FROM metric_points ORDER BY step")).all()
        lines = db.scalars(select(RunLog.message).where(RunLog.run_id == run_id).order_by(RunLog.id)).all()
        run = db.get_one(Run, run_id)
        assert run.checkpoint is not None
        assert run.earlier_checkpoints == []
    assert [tuple(point) for point in points] == [(step, step / 2) for step in range(5)]
    assert [line for line in lines if line in ("one", "two")] == ["one", "two"]
    assert place.count(Artifact, Artifact.run_id == run_id) == 1


def test_the_result_of_a_prediction(place: Place, tmp_path: Path) -> None:
    run_id, token = hold_run(place.context.sessions)
    (tmp_path / "m").write_text("m")
    manifest, sha256 = artifacts.upload(place.context.storage, tmp_path / "m")
    with place.direct.begin() as db:
        artifacts.record(db, run_id, token, "predictor", manifest, sha256, False)
        artifact = artifacts.of_run(db, run_id, "predictor")
        facts = {"method": "m", "task": "t", "backbone": "b", "classes": ["a"], "headline": {}}
        model = Model(name="m", run_id=run_id, artifact_id=artifact.id, synthetic=True, **facts)
        db.add(model)
        db.flush()
        info = predictions.RequestInfo()
        row = predictions.create(
            db, uploads.put(place.context.storage, b"x"), model, PredictOptions(), None, info
        )
        prediction_id: UUID = row.id
    result = predictions.PredictionResult("a", "a", {"a": 1.0}, b"", b"", [0, 0, 1, 1], b"", 1.0)
    stopping = threading.Event()
    with place.losing_the_commit_after(b"UPDATE predictions"):
        request = predict._claim(place.context, prediction_id, predictions.claim, stopping)
    assert request is not None, "it is the worker's own claim"
    with place.losing_the_commit_after(b"UPDATE predictions"):
        predict._respond(
            *(place.context, prediction_id, request.upload),
            lambda: lambda db: predictions.finish(db, prediction_id, result),
            *(predictions, stopping),
        )
    with place.direct() as db:
        row = db.get_one(Prediction, prediction_id)
        assert (row.state, row.predicted) == ("succeeded", "a")


def test_a_run_that_is_created_through_the_client(place: Place) -> None:
    token = token_of(place, Role.editor)
    with serving(create_app(place.settings)) as url, ViseClient(url, token) as vise:
        with place.losing_the_commit_after(b"INSERT INTO runs"):
            run = vise.create_run(RunCreate(stage="ingest", spec=SPEC))
        with place.losing_the_commit_after(b"INSERT INTO runs"):
            copy = vise.clone(run.id, RunClone())
    with place.direct() as db:
        assert set(db.scalars(select(Run.id))) == {run.id, copy.id}


def test_a_key_belongs_to_one_request_of_one_user(place: Place) -> None:
    editor, other = (token_of(place, role) for role in (Role.editor, Role.admin))
    key = str(uuid4())

    def create(api: TestClient, token: str, key: str, name: str):
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return api.post(
            f"{PREFIX}/runs", json={"stage": "ingest", "spec": SPEC, "name": name}, headers=headers
        )

    with TestClient(create_app(place.settings)) as api:
        first, again = (create(api, editor, key, "a") for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json()["id"] == again.json()["id"]
        changed = create(api, editor, key, "b")
        assert (changed.status_code, changed.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
        assert create(api, other, key, "a").json()["id"] != first.json()["id"], "keys are each user's own"
        assert create(api, editor, str(uuid4()), "a").json()["id"] != first.json()["id"]
        assert (
            "Idempotency-Key: Input should be a valid UUID" in create(api, editor, "x", "a").json()["detail"]
        )


def test_an_upload(place: Place, archive: Callable[[], bytes]) -> None:
    token = token_of(place, Role.admin)
    query = {"name": "mine", "filename": "a.zip", "kind": "images"}
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_app(place.settings), headers=headers, raise_server_exceptions=False) as api:
        with place.losing_the_commit_after(b"INSERT INTO uploads"):
            lost = api.post(f"{PREFIX}/datasets/upload", params=query, content=archive())
        assert lost.status_code == 503
        again = api.post(f"{PREFIX}/datasets/upload", params=query, content=archive())
        assert again.status_code == 201, again.text
        different = api.post(f"{PREFIX}/datasets/upload", params=query, content=archive() + b"\0")
        assert different.status_code == 409
    assert (place.count(Dataset), place.count(Upload), place.count(Run)) == (1, 1, 1)


@pytest.fixture
def archive() -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr(zipfile.ZipInfo("a/1.txt", (2020, 1, 1, 0, 0, 0)), "x")
        return buffer.getvalue()

    return make


def test_lines_of_the_same_time_are_all_kept(place: Place) -> None:
    """Only lines of a transaction that may have been committed are looked for."""
    run_id, token = hold_run(place.context.sessions)
    reporter = StoreReporter(place.context, run_id, token)
    now = datetime.now(UTC)
    reporter._lines = [(now, "info", "one"), (now, "info", "two")]
    reporter.flush()
    reporter._lines = [(now, "info", "three")]
    reporter.close()
    assert place.count(RunLog, RunLog.run_id == run_id, RunLog.at == now) == 3
