"""Uploads that are sent again, and the bytes of the quota that an upload reserves while it is received."""

import threading

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from backend.api.app import PREFIX
from backend.api.registry import datasets
from backend.store.accounts import quotas
from backend.store.registry.tables import UploadReservation
from backend.store.runs.tables import Run
from vise_client.schemas.accounts import Role

HEAD = b"PK\x03\x04" + bytes(600)


@pytest.fixture
def as_admin(api, tokens):
    api.headers["Authorization"] = f"Bearer {tokens[Role.admin]}"
    return api


def upload(api, body: bytes = HEAD, **query):
    return api.post(
        f"{PREFIX}/datasets/upload", params={"name": "pets", "filename": "pets.zip", **query}, content=body
    )


def test_only_the_same_upload_returns_the_data_set_of_the_first(as_admin) -> None:
    first = upload(as_admin, kind="images", description="mine")
    assert first.status_code == 201, first.text
    again = upload(as_admin, kind="images", description="mine")
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    for other in ({"kind": "posts"}, {"description": ""}, {"filename": "other.zip"}):
        refused = upload(as_admin, **({"kind": "images", "description": "mine"} | other))
        assert refused.status_code == 409, other
        assert "delete it or choose another name" in refused.json()["detail"]


@pytest.mark.parametrize("state", ["failed", "cancelling", "cancelled"])
def test_a_data_set_that_could_not_be_imported_is_not_returned(as_admin, state: str) -> None:
    first = upload(as_admin).json()
    with as_admin.app.state.sessions.begin() as db:
        db.execute(update(Run).where(Run.id == first["run_id"]).values(state=state))
    assert upload(as_admin).status_code == 409


def test_the_reservation_of_a_killed_upload_ends_soon_and_that_of_a_slow_one_is_renewed(
    as_admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = as_admin.app.state.sessions
    left = func.extract("epoch", UploadReservation.until - func.now())
    monkeypatch.setattr(datasets, "RESERVED_SECONDS", 0.4)
    renewed = threading.Event()
    renew = quotas.renew_upload

    def seen(*arguments) -> None:
        renew(*arguments)
        renewed.set()

    monkeypatch.setattr(quotas, "renew_upload", seen)
    waits, lasts = [], []

    store = datasets._store

    def slowly(*arguments) -> None:
        with sessions() as db:
            lasts.append(float(db.scalar(select(left))))
        waits.append(renewed.wait(60))
        store(*arguments)

    monkeypatch.setattr(datasets, "_store", slowly)
    assert upload(as_admin).status_code == 201
    assert waits == [True]
    assert lasts[0] <= 0.4, "one whose process is killed ends by then"
    with sessions() as db:
        assert db.scalar(select(func.count()).select_from(UploadReservation)) == 0


def test_a_release_that_fails_hides_no_success(as_admin, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    def fail(db, upload_id) -> None:
        raise OperationalError("DELETE", {}, Exception("the server is gone"))

    monkeypatch.setattr(quotas, "release_upload", fail)
    assert upload(as_admin).status_code == 201
    assert "could not be released" in caplog.text
