"""Commands that delete: what depends on the thing is printed, then the command asks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from backend.settings import settings
from backend.store.accounts import users
from backend.store.accounts.tables import User
from backend.store.database import Sessions, connect, session_factory
from backend.store.registry.tables import Dataset, Model
from backend.store.runs.tables import Run
from tests.belongings import SAMPLE, belongings
from vise_client.cli import app
from vise_client.client import ViseClient
from vise_client.errors import ClientError
from vise_client.schemas.accounts import Role
from vise_client.schemas.launch import RunCreate

ANN, BOB = "ann@example.org", "bob@example.org"


@dataclass(frozen=True)
class Thing:
    """``listed``: a line that names what depends on it; ``names``: the names of all things of its kind that are left."""

    command: tuple[str, ...]
    listed: str
    question: str
    name: str
    names: Callable[[Session], list[str]]


def a_run(vise: ViseClient, db: Session) -> Thing:
    run = vise.create_run(SAMPLE.model_copy(update={"name": "first"}))
    vise.cancel(run.id)
    names = lambda db: list(db.scalars(select(Run.name)))  # noqa: E731
    return Thing(("delete", str(run.id)), "deleted       1 log", "Delete the run first?", "first", names)


def a_model(vise: ViseClient, db: Session) -> Thing:
    model = db.get_one(Model, belongings(db, ANN)["model_id"])
    model.name = "best"
    names = lambda db: list(db.scalars(select(Model.name)))  # noqa: E731
    return Thing(
        ("models", "delete", "best"), "deleted       1 prediction", "Delete the model best?", "best", names
    )


def a_user(vise: ViseClient, db: Session) -> Thing:
    users.issue_token(db, users.create_user(db, BOB, None, Role.editor), "api", lifetime=None)
    names = lambda db: list(db.scalars(select(User.email)))  # noqa: E731
    return Thing(("admin", "delete", BOB), "deleted       1 api token", f"Delete {BOB} for good?", BOB, names)


def a_data_set(vise: ViseClient, db: Session) -> Thing:
    db.add(Dataset(name="faces", kind="images", folder="faces"))
    names = lambda db: list(db.scalars(select(Dataset.name)))  # noqa: E731
    return Thing(
        ("data", "remove", "faces"), "kept          1 registered folder", "Remove faces?", "faces", names
    )


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    engine = connect(database_url)
    yield session_factory(engine)
    engine.dispose()


def make_admin(db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign in as Ann once more, now as an admin: the session before keeps the role that it began with."""
    ann = users.find_user(db, ANN)
    assert ann is not None
    ann.role = Role.admin.value
    monkeypatch.setenv("VISE_TOKEN", users.issue_token(db, ann, "session", lifetime=timedelta(days=1))[0])


@pytest.fixture(params=[a_run, a_model, a_user, a_data_set])
def thing(
    request: pytest.FixtureRequest,
    vise: ViseClient,
    sessions: Sessions,
    database_url: str,
    broker_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Thing:
    for name, value in (
        ("DATABASE", database_url),
        ("BROKER", broker_url),
        ("STORAGE", f"file://{tmp_path}"),
    ):
        monkeypatch.setenv(f"VISE_{name}_URL", value)
    settings.cache_clear()
    with sessions.begin() as db:
        make_admin(db, monkeypatch)
    with sessions.begin() as db:
        thing: Thing = request.param(vise, db)
    return thing


@pytest.mark.parametrize(("says", "code"), [("n\n", 0), ("", 1)])
def test_without_a_yes_nothing_is_deleted(thing: Thing, sessions: Sessions, says: str, code: int) -> None:
    done = CliRunner().invoke(app, thing.command, input=says)
    assert done.exit_code == code, done.output
    assert thing.listed in done.output
    assert thing.question in done.output
    if code:
        assert isinstance(done.exception, ClientError)
        assert str(done.exception) == "nothing was deleted: answer the question with y, or add --yes"
    with sessions() as db:
        assert thing.name in thing.names(db)


@pytest.mark.parametrize(("options", "says"), [([], "y\n"), (["--yes"], "")])
def test_it_is_deleted(thing: Thing, sessions: Sessions, options: list[str], says: str) -> None:
    done = CliRunner().invoke(app, [*thing.command, *options], input=says)
    assert done.exit_code == 0, (done.output, done.exception)
    assert thing.listed in done.output
    assert (thing.question in done.output) == (not options)
    with sessions() as db:
        assert thing.name not in thing.names(db)


def test_what_is_in_the_way_is_named(vise: ViseClient) -> None:
    run_id = str(vise.create_run(SAMPLE.model_copy(update={"name": "first"})).id)
    inputs = {"posts": {"run": run_id, "artifact": "posts"}}
    vise.create_run(RunCreate.model_validate({"stage": "cluster", "name": "second", "inputs": inputs}))
    vise.cancel(run_id)
    done = CliRunner().invoke(app, ["delete", run_id, "--yes"])
    assert "delete first  1 run" in done.output
    assert "second" in done.output
    assert "delete the things marked" in str(done.exception)
    assert vise.run(run_id).name == "first"


@pytest.mark.parametrize("by_id", [False, True])
def test_a_model_is_deleted_by_its_name_or_id(
    vise: ViseClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, by_id: bool
) -> None:
    with sessions.begin() as db:
        make_admin(db, monkeypatch)
        names = [db.get_one(Model, belongings(db, ANN)["model_id"]) for _ in range(2)]
        for model, name in zip(names, ("best", "best of all"), strict=True):
            model.name = name
        key = str(names[0].id) if by_id else "best"
    unknown = CliRunner().invoke(app, ["models", "delete", "of", "--yes"])
    assert "no model named 'of'" in str(unknown.exception)
    done = CliRunner().invoke(app, ["models", "delete", key, "--yes"])
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "deleted best")
    assert [model.name for model in vise.models()] == ["best of all"]
