"""A database and a storage for tests of upkeep."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, update

from backend.api.app import create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from backend.store.registry.storage import Storage
from backend.store.runs.delete import delete_run
from backend.store.runs.tables import Run
from tests.serving import serving
from tests.worker.held_run import hold_run
from tests.worker.storage.lab import Lab
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from worker.context import Context
from worker.reporter import StoreReporter


class Place:
    """A database and a storage without processes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.engine = connect(settings.database_url)
        self.context = Context(settings, session_factory(self.engine), Storage(settings.storage_url), "w")
        self.sessions, self.storage = self.context.sessions, self.context.storage

    def held(self) -> tuple[UUID, StoreReporter]:
        run_id, token = hold_run(self.sessions)
        return run_id, StoreReporter(self.context, run_id, token)

    def change(self, run_id: UUID, **values: object) -> None:
        with self.sessions.begin() as db:
            db.execute(update(Run).where(Run.id == run_id).values(**values))

    def finished(self, *contents: str, state: str = "succeeded") -> UUID:
        """A run that has ended, with an artifact of these files."""
        run_id, reporter = self.held()
        reporter.artifact("posts", self.files(*contents))
        reporter.close()
        self.change(run_id, state=state, finished_at=func.now(), lease_until=None)
        return run_id

    def files(self, *contents: str) -> Path:
        folder = self.folder / uuid4().hex
        folder.mkdir()
        for content in contents:
            (folder / content.replace(" ", "-")).write_text(content)
        return folder

    def delete(self, run_id: UUID) -> None:
        with self.sessions.begin() as db:
            delete_run(db, run_id)

    def contents(self) -> set[str]:
        return {b"".join(self.storage.stream(sha256)).decode() for sha256, _ in self.storage.objects()}


@pytest.fixture
def place(database_url: str, tmp_path: Path):
    settings = Settings(
        database_url=database_url,
        broker_url="redis://",
        storage_url=f"file://{tmp_path / 'storage'}",
        home=tmp_path / "home",
    )
    made = Place(settings, tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture
def lab(place: Place, tmp_path: Path) -> Lab:
    return Lab(place, tmp_path)


@pytest.fixture
def vise(lab: Lab) -> Iterator[ViseClient]:
    """The API over the lab, asked by an admin."""
    settings = lab.place.settings.model_copy(update={"data_root": lab.data_root})
    with lab.place.sessions.begin() as db:
        admin = users.create_user(db, "admin@example.org", None, Role.admin)
        token, _ = users.issue_token(db, admin, "session", lifetime=timedelta(days=1))
    with serving(create_app(settings)) as url, ViseClient(url, token) as client:
        client.token = token
        yield client
