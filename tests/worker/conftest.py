"""Real workers: processes of their own, over a real database and a real broker."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import delete

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.accounts.tables import User
from backend.store.serving.tables import Engagement, Feedback, Prediction
from tests.faults.cluster import Cluster, cluster_over
from tests.faults.model import add_model
from tests.pictures import encoded
from vise_client.schemas.accounts import Role
from vise_core.specs.stages import STAGES

if TYPE_CHECKING:
    from bucket import Bucket

HERE = Path(__file__).parent
EDITOR = "editor@example.org"
sys.path.insert(0, str(HERE))


@pytest.fixture
def stages_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process knows the stages that the cluster's processes know by their entry points."""
    import stages

    monkeypatch.setitem(STAGES, stages.COUNT.name, stages.COUNT)


@pytest.fixture(scope="session")
def shared_clusters() -> list[Cluster]:
    """Clusters whose processes stay between tests."""
    return []


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, broker_url: str, tmp_path: Path, shared_clusters: list[Cluster]
) -> Iterator[Cluster]:
    """Nothing runs in it yet; beside ``api`` it is the one that answers there."""
    if "api" in request.fixturenames:
        yield request.getfixturevalue("service").cluster
        return
    request.getfixturevalue("stages_of_tests")
    for other in shared_clusters:
        # The broker is one: the workers of another cluster would take this one's messages.
        other.stop()
    with cluster_over(request.getfixturevalue("database_url"), broker_url, tmp_path) as made:
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


@pytest.fixture(scope="module")
def module_cluster(
    module_database_url: str,
    broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    shared_clusters: list[Cluster],
) -> Iterator[Cluster]:
    with cluster_over(module_database_url, broker_url, tmp_path_factory.mktemp("cluster")) as made:
        shared_clusters.append(made)
        yield made
        shared_clusters.remove(made)


@pytest.fixture
def running(module_cluster: Cluster, stages_of_tests: None) -> Cluster:
    """A cluster for all tests of a module, with a dispatcher and one worker, named first: to start them takes seconds."""
    if [process.poll() for process in module_cluster.processes] != [None, None]:
        module_cluster.stop()
        module_cluster.start("dispatch", name="dispatch")
        module_cluster.worker("first")
    return module_cluster


@dataclass
class Service:
    """A cluster with an untrained model, and a token of an editor."""

    cluster: Cluster
    token: str

    def start(self) -> bool:
        """Start a dispatcher and a prediction worker; return whether the last test has not left both running."""
        del self.cluster.processes[2:]
        if [process.poll() for process in self.cluster.processes] == [None, None]:
            return False
        self.cluster.stop()
        self.cluster.start("dispatch", name="dispatch")
        self.cluster.start("run", "--queues", "predict", name="predict")
        return True

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
    with cluster_over(module_database_url, broker_url, folder) as cluster:
        add_model(cluster, folder)
        with cluster.sessions.begin() as db:
            editor = users.create_user(db, EDITOR, None, Role.editor)
            token, _ = users.issue_token(db, editor, "api", lifetime=None)
        yield Service(cluster, token)


@pytest.fixture
def api(service: Service, broker_url: str) -> Iterator[TestClient]:
    """The API beside a dispatcher and a prediction worker, with an untrained model, asked by an editor."""
    service.forget()
    started = service.start()
    settings = Settings(
        database_url=service.cluster.environment["VISE_DATABASE_URL"],
        broker_url=broker_url,
        storage_url=service.cluster.storage.url,
        home=service.cluster.folder,
        max_upload_bytes=8 * 2**20,
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {service.token}"
        if started:
            _ask_once(client)
            service.forget()
        yield client


def _ask_once(client: TestClient) -> None:
    """Wait for a worker's first answer: it loads torch for it, longer than a test's request waits on a busy machine."""
    image = encoded(Image.new("RGB", (32, 32)), "PNG")
    answer = client.post(f"{PREFIX}/predictions", files={"image": ("x", image)}, data={"wait": "30"})
    end = time.monotonic() + 300
    while answer.json()["state"] != "succeeded":
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)
        answer = client.get(f"{PREFIX}/predictions/{answer.json()['id']}")
