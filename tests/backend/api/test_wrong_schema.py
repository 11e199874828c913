"""An API whose database another version has migrated says so, instead of 500."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from backend.api.app import PREFIX


@pytest.mark.parametrize(
    ("revision", "sentence"),
    [("9999", "another version has migrated it"), ("0001", "run `vise migrate`")],
)
def test_a_statement_that_does_not_fit_the_tables_is_503_and_names_the_revision(
    editor: TestClient, revision: str, sentence: str
) -> None:
    with editor.app.state.sessions.begin() as db:
        db.execute(text("ALTER TABLE models RENAME COLUMN classes TO labels"))
    files = {"image": ("x", b"\xff\xd8\xff")}
    assert editor.post(f"{PREFIX}/predictions", files=files).status_code == 500, "the revision fits"
    with editor.app.state.sessions.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    for response in (editor.post(f"{PREFIX}/predictions", files=files), editor.get(f"{PREFIX}/models")):
        assert response.status_code == 503
        assert f"revision {revision}" in response.json()["detail"]
        assert sentence in response.json()["detail"]
