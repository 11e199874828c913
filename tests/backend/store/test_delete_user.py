"""A deleted user leaves nothing personal; the lab's runs and its log stay."""

from uuid import UUID

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from backend.commands import admin
from backend.settings import settings
from backend.store.accounts import users
from backend.store.accounts.deletion import delete_user
from backend.store.accounts.tables import Audit, LoginAttempt, Token, User
from backend.store.errors import Conflict, NotFound
from backend.store.runs.tables import Run
from backend.store.serving.tables import Feedback, Prediction
from tests.belongings import belongings
from vise_client.schemas.accounts import Role

ANN, BOB = "ann@example.org", "bob@example.org"


def test_a_user_goes_with_what_is_personal_and_the_runs_stay(held, database_url: str, monkeypatch) -> None:
    sessions, run_id, _ = held
    with sessions.begin() as db:
        ann, bob = (users.create_user(db, email, None, Role.admin) for email in (ANN, BOB))
        db.flush()
        users.issue_token(db, ann, "session", lifetime=None)
        db.get_one(Run, run_id).created_by = ann.id
        given = {"task": "t", "label": "a", "predicted": "a", "model": "m", "sha256": "0" * 64}
        for user in (ann, bob):
            db.add(Feedback(picture=b"x", synthetic=True, created_by=user.id, **given))
        # Bob has labelled a picture of Ann's, and she one of his.
        of_ann, of_bob = (UUID(belongings(db, email)["prediction_id"]) for email in (ANN, BOB))
        for user, asked in ((bob, of_ann), (ann, of_bob)):
            db.add(Feedback(picture=b"x", synthetic=True, created_by=user.id, prediction_id=asked, **given))
        db.add(Audit(user_id=ann.id, email=ANN, action="create", kind="run", target="r"))
        db.add(LoginAttempt(email=ANN, address="127.0.0.1"))
    for name, value in (
        ("DATABASE_URL", database_url),
        ("BROKER_URL", "redis://"),
        ("STORAGE_URL", "file:///x"),
    ):
        monkeypatch.setenv(f"VISE_{name}", value)
    settings.cache_clear()
    said = CliRunner().invoke(admin, ["delete", ANN, "--yes"])
    assert said.exit_code == 0, (said.output, said.exception)
    with sessions() as db:
        assert db.scalars(select(User.email)).all() == [BOB]
        assert db.get_one(Run, run_id).created_by is None
        assert db.execute(select(Feedback.created_by, Feedback.prediction_id)).all() == [(bob.id, None)]
        assert db.scalars(select(Prediction.id)).all() == [of_bob]
        assert [db.scalar(select(func.count()).select_from(t)) for t in (Token, LoginAttempt)] == [0, 0]
        assert ANN not in {*db.scalars(select(Audit.email)), *db.scalars(select(Audit.target))}


def test_the_last_admin_and_an_unknown_user_are_not_deleted(held) -> None:
    sessions, _, _ = held
    with sessions.begin() as db:
        users.create_user(db, ANN, None, Role.admin)
    with sessions.begin() as db, pytest.raises(Conflict, match="last active admin"):
        delete_user(db, ANN)
    with sessions.begin() as db, pytest.raises(NotFound, match="no user"):
        delete_user(db, BOB)
