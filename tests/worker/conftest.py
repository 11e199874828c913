"""Real workers: processes of their own, over a real database and a real broker."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, text

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.accounts.tables import User
from backend.store.database import Sessions, connect, session_factory
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Model
from backend.store.runs.create import create_run
from backend.store.runs.read import view_run
from backend.store.runs.states.lease import claim_run
from backend.store.serving.tables import Engagement, Feedback, Prediction
from tests.commands import stop_processes
from vise_client.schemas.accounts import Role
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.runs import RunView
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.models.heads import linear_head
from vise_core.specs.stages import STAGES
from vise_core.specs.tasks.catalogue import EMOTIONS

if TYPE_CHECKING:
    from bucket import Bucket

HERE = Path(__file__).parent
EDITOR = "editor@example.org"
sys.path.insert(0, str(HERE))


@dataclass
class Cluster:
    """A dispatcher and workers that a test starts and kills."""

    environment: dict[str, str]
    sessions: Sessions
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str, name: str = "worker") -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker", *arguments],
                env=self.environment | {"VISE_WORKER_NAME": name},
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        return self.start("run", "--queues", "cpu", name=name)

    def stop(self) -> None:
        stop_processes(self.processes)
        self.processes.clear()

    @property
    def storage(self) -> Storage:
        return Storage(self.environment["VISE_STORAGE_URL"])

    def create(self, stage: str = "count", **body: object) -> UUID:
        with self.sessions.begin() as db:
            return create_run(db, RunCreate.model_validate({"stage": stage, **body}), None).id

    def view(self, run_id: UUID) -> RunView:
        with self.sessions() as db:
            return view_run(db, run_id)

    def wait(self, run_id: UUID, until: Callable[[RunView], bool], seconds: float = 180) -> RunView:
        end = time.monotonic() + seconds
        while not until(view := self.view(run_id)):
            if time.monotonic() > end:
                logs = {p.name: p.read_text()[-2000:] for p in self.folder.glob("*.log")}
                raise AssertionError(f"still {view.state} after {seconds:g} s: {view.reason} {logs}")
            time.sleep(0.05)
        return view

    def wait_final(self, run_id: UUID, seconds: float = 180) -> RunView:
        return self.wait(run_id, lambda run: run.state.final, seconds)

    def points(self, run_id: UUID) -> list[tuple[str, int, float]]:
        """What the stage said; not the curves of the machine."""
        query = text(
            "SELECT key, step, value FROM metric_points "
            "WHERE run_id = :run AND NOT starts_with(key, 'system/') ORDER BY key, step"
        )
        with self.sessions() as db:
            return [tuple(row) for row in db.execute(query, {"run": run_id})]


@contextmanager
def _cluster(database_url: str, broker_url: str, folder: Path) -> Iterator[Cluster]:
    engine = connect(database_url)
    environment = os.environ | {
        "VISE_DATABASE_URL": database_url,
        "VISE_BROKER_URL": broker_url,
        "VISE_STORAGE_URL": f"file://{folder / 'storage'}",
        "VISE_HOME": str(folder),
        "VISE_LEASE_SECONDS": "2",
        "VISE_RECONCILE_SECONDS": "0.5",
        "VISE_REPUBLISH_SECONDS": "3",
        "VISE_CANCEL_GRACE_SECONDS": "10",
        # The first answer loads torch: on a busy machine that takes longer than people would wait.
        "VISE_PREDICTION_TIMEOUT_SECONDS": "600",
        "VISE_TELEMETRY_SECONDS": "0.5",
        "PYTHONPATH": str(HERE),
    }
    made = Cluster(environment, session_factory(engine), folder)
    yield made
    made.stop()
    engine.dispose()


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """Nothing runs in it yet; beside ``api`` it is the one that answers there."""
    if "api" in request.fixturenames:
        yield request.getfixturevalue("service").cluster
        return
    import stages

    for stage in (stages.COUNT, stages.FIT):
        monkeypatch.setitem(STAGES, stage.name, stage)
    with _cluster(request.getfixturevalue("database_url"), broker_url, tmp_path) as made:
        yield made


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator["Bucket"]:
    """An S3 server with a bucket of this name, for this process and those that it starts."""
    from bucket import serving

    with serving() as made:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.endpoint)
        yield made


@pytest.fixture
def running(cluster: Cluster) -> Cluster:
    """With a dispatcher and one worker, named first."""
    cluster.start("dispatch", name="dispatch")
    cluster.worker("first")
    return cluster


@dataclass
class Service:
    """A cluster with an untrained model, and a token of an editor."""

    cluster: Cluster
    token: str

    def start(self) -> None:
        """A dispatcher and a prediction worker, if the last test has not left both running."""
        del self.cluster.processes[2:]
        if [process.poll() for process in self.cluster.processes] == [None, None]:
            return
        self.cluster.stop()
        self.cluster.start("dispatch", name="dispatch")
        self.cluster.start("run", "--queues", "predict", name="predict")

    def forget(self) -> None:
        """Delete what a test has asked, and the users it has made."""
        with self.cluster.sessions.begin() as db:
            for table in (Feedback, Prediction, Engagement):
                db.execute(delete(table))
            db.execute(delete(User).where(User.email != EDITOR))


@pytest.fixture(scope="module")
def service(
    module_database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One for all tests of a module: its worker takes seconds to start."""
    folder = tmp_path_factory.mktemp("service")
    backbone = build_backbone("resnet18", seed=0)
    classifier = ImageClassifier(backbone, linear_head(512, 6, seed=0), EMOTIONS, image_size=64)
    save_classifier(folder / "predictor", classifier, {"synthetic": True})
    with _cluster(module_database_url, broker_url, folder) as cluster:
        manifest, sha256 = artifacts.upload(cluster.storage, folder / "predictor")
        run_id = cluster.create("ingest", spec={"source": {"kind": "sample"}})
        with cluster.sessions.begin() as db:
            claim = claim_run(db, run_id, "test", 3600)
            assert claim is not None
            artifacts.record(db, run_id, claim.token, "predictor", manifest, sha256, True)
            artifact = artifacts.of_run(db, run_id, "predictor")
            facts = {
                "method": "Random Init",
                "task": "none",
                "backbone": "resnet18",
                "classes": list(EMOTIONS),
            }
            db.add(
                Model(
                    name="m",
                    run_id=run_id,
                    artifact_id=artifact.id,
                    headline={},
                    synthetic=True,
                    default=True,
                    **facts,
                )
            )
            editor = users.create_user(db, EDITOR, None, Role.editor)
            token, _ = users.issue_token(db, editor, "api", lifetime=None)
        yield Service(cluster, token)


@pytest.fixture
def api(service: Service, broker_url: str) -> Iterator[TestClient]:
    """The API beside a dispatcher and a prediction worker, with an untrained model, asked by an editor."""
    service.forget()
    service.start()
    settings = Settings(
        database_url=service.cluster.environment["VISE_DATABASE_URL"],
        broker_url=broker_url,
        storage_url=service.cluster.storage.url,
        home=service.cluster.folder,
        max_upload_bytes=8 * 2**20,
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {service.token}"
        yield client
