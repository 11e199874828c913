"""A session of the database, and a run that a worker holds."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from backend.store.database import connect, session_factory
from backend.store.runs.create import create_run
from backend.store.runs.states.lease import claim_run
from vise_client.schemas.launch import RunCreate


@pytest.fixture
def db(database_url: str) -> Iterator[Session]:
    engine = connect(database_url)
    with session_factory(engine)() as session:
        yield session
    engine.dispose()


@pytest.fixture
def held(database_url: str):
    """(sessions, run id, token) of a run that a worker holds."""
    engine = connect(database_url)
    sessions = session_factory(engine)
    spec = {"source": {"kind": "sample", "posts": 10, "evaluation_images": 60}}
    with sessions.begin() as db:
        run_id = create_run(db, RunCreate(stage="ingest", spec=spec), None).id
    with sessions.begin() as db:
        claim = claim_run(db, run_id, "w", 60)
    assert claim is not None
    yield sessions, run_id, claim.token
    engine.dispose()
