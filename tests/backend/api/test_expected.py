"""A change that was made from values which have changed meanwhile is refused, by every operation that changes fields."""

from typing import Any, get_type_hints

import pytest

from backend.api.app import PREFIX
from backend.store.accounts.tables import User
from backend.store.database import connect, session_factory
from backend.store.registry.tables import Artifact, Dataset, Model
from backend.store.runs.tables import SavedView
from tests.backend.run_rows import add_run
from tests.vise_client.test_operations import OPERATIONS
from vise_client.schemas.accounts import Role
from vise_client.schemas.run_lists import RunListState
from vise_client.schemas.wire import UpdateBody

# Path of the operation → (field, its stored value, another user's value, the value that the stale page would write).
CHANGES: dict[str, tuple[str, Any, Any, Any]] = {
    "/users/{user_id}": ("role", "editor", "viewer", "admin"),
    "/runs/{run_id}": ("notes", "first", "theirs", "mine"),
    "/models/{model_id}": ("name", "first", "theirs", "mine"),
    "/datasets/{dataset_id}": ("description", "first", "theirs", "mine"),
    "/views/{view_id}": ("name", "first", "theirs", "mine"),
}
ABLATIONS = "/ablations/{ablation_id}"
"""Has a test of its own in tests/frontend/walk, since an ablation needs real runs."""
PATCHES = {
    operation.path: get_type_hints(operation.declaration)["body"]
    for operation in OPERATIONS.values()
    if operation.method == "PATCH"
}


@pytest.fixture
def rows(settings) -> dict[str, str]:
    """Path of the operation → id of a row that it changes, with the stored value."""
    engine = connect(settings.database_url)
    with session_factory(engine).begin() as db:
        admin = db.query(User).filter_by(email="admin@example.org").one()
        run = add_run(db, notes="first")
        artifact = Artifact(
            run_id=run.id, name="predictor", sha256="0" * 64, size=0, files=0, folder=True, manifest=[]
        )
        db.add(artifact)
        db.flush()
        made = {
            "/users/{user_id}": db.query(User).filter_by(email="editor@example.org").one(),
            "/runs/{run_id}": run,
            "/models/{model_id}": Model(
                name="first", run_id=run.id, artifact_id=artifact.id, method="m", task="t", backbone="b",
                classes=["a"], headline={}, synthetic=False,
            ),
            "/datasets/{dataset_id}": Dataset(name="d", kind="images", folder="d", description="first"),
            "/views/{view_id}": SavedView(
                owner_id=admin.id, name="first", state=RunListState().model_dump()
            ),
        }  # fmt: skip
        db.add_all(made.values())
        db.flush()
        ids = {path: str(row.id) for path, row in made.items()}
    engine.dispose()
    return ids


def test_every_operation_that_changes_fields_takes_the_expected_values() -> None:
    assert PATCHES.keys() == {*CHANGES, ABLATIONS}
    assert all(issubclass(body, UpdateBody) for body in PATCHES.values())


@pytest.mark.parametrize("path", sorted(CHANGES))
def test_a_stale_change_is_refused_and_changes_nothing(api, tokens, rows, path: str) -> None:
    field, stored, theirs, mine = CHANGES[path]
    api.headers["Authorization"] = f"Bearer {tokens[Role.admin]}"
    name = path.split("{")[1].removesuffix("}")
    url = f"{PREFIX}{path}".replace("{" + name + "}", rows[path])
    changed = api.patch(url, json={field: theirs, "expected": {field: stored}})
    assert (changed.status_code, changed.json()[field]) == (200, theirs)
    stale = api.patch(url, json={field: mine, "expected": {field: stored}})
    assert stale.status_code == 409
    assert field in stale.json()["detail"]
    assert api.patch(url, json={}).json()[field] == theirs


def test_a_value_can_be_expected_of_own_fields_only(api, tokens, rows) -> None:
    api.headers["Authorization"] = f"Bearer {tokens[Role.admin]}"
    answer = api.patch(
        f"{PREFIX}/users/{rows['/users/{user_id}']}", json={"expected": {"password_hash": "x"}}
    )
    assert answer.status_code == 422
    assert "password_hash" in str(answer.json())
