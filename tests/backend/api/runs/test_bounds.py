"""How much one request may launch, how long that takes, and how much one user may have."""

import time
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from backend.api.app import PREFIX, create_app
from backend.store.accounts import users
from backend.store.accounts.tables import Audit
from backend.store.registry.tables import UploadReservation
from backend.store.runs import bulk
from backend.store.runs.create import Allowance, create_run
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from backend.store.runs.tables import Outbox, Run, RunEvent
from backend.store.serving.tables import Prediction
from tests.serving import serving
from vise_client.schemas.accounts import Role
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from vise_core.specs.recipes import recipe

SAMPLE = {"stage": "ingest", "spec": {"source": {"kind": "sample"}}}
STEPS = 1000


def chain(number: int) -> dict:
    """A recipe: one ingest, and as many clusterings of it."""
    steps: dict = {"ingest": SAMPLE}
    for position in range(number - 1):
        steps[f"cluster {position}"] = {
            "stage": "cluster",
            "inputs": {"posts": {"step": "ingest", "artifact": "posts"}},
        }
    return {"spec": {"title": "chain", "steps": steps}}


@pytest.fixture
def bounded(settings, tokens) -> TestClient:
    """The API with small limits, asked by an editor."""
    limits = {
        "max_children": 3,
        "max_open_runs": 4,
        "max_predictions_per_minute": 2,
        "max_user_upload_bytes": 1024,
    }
    with TestClient(create_app(settings.model_copy(update=limits))) as client:
        client.headers["Authorization"] = f"Bearer {tokens[Role.editor]}"
        yield client


def test_a_recipe_with_too_many_steps_is_refused_with_the_limit(bounded) -> None:
    refused = bounded.post(f"{PREFIX}/recipes/runs", json=chain(4))
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "spec.steps", "message": "has 4 steps; at most 3 (VISE_MAX_CHILDREN): launch it in parts"}
    ]
    grid = {"posts_per_shard": [1, 2, 3, 4]}
    refused = bounded.post(
        f"{PREFIX}/sweeps", json={"spec": {"stage": "ingest", "base": SAMPLE["spec"], "grid": grid}}
    )
    assert refused.status_code == 422
    assert "at most 3" in refused.text


def test_the_steps_are_counted_before_their_specs_are_validated(bounded, monkeypatch) -> None:
    run = bounded.post(f"{PREFIX}/recipes/runs", json=chain(2)).json()
    validated: list[str] = []
    monkeypatch.setattr(recipe, "validate_spec", lambda stage, _: validated.append(stage))
    for path, spec in ((f"runs/{run['id']}/clone", chain(4)), ("recipes/runs", chain(4))):
        refused = bounded.post(f"{PREFIX}/{path}", json=spec)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["message"].startswith("has 4 steps; at most 3")
    assert validated == []


def test_a_user_has_a_quota_of_unfinished_runs(bounded) -> None:
    parent = bounded.post(f"{PREFIX}/recipes/runs", json=chain(3)).json()
    assert bounded.post(f"{PREFIX}/runs", json=SAMPLE).status_code == 201
    refused = bounded.post(f"{PREFIX}/runs", json=SAMPLE)
    assert refused.status_code == 409
    assert "5 unfinished runs" in refused.json()["detail"]
    assert "VISE_MAX_OPEN_RUNS" in refused.json()["detail"]
    bounded.post(f"{PREFIX}/runs/{parent['id']}/cancel")
    assert bounded.post(f"{PREFIX}/runs", json=SAMPLE).status_code == 201
    # A retry opens runs again, one by one or many at a time.
    retried = bounded.post(f"{PREFIX}/runs/{parent['id']}/retry")
    assert retried.status_code == 409
    body = {"action": "retry", "ids": [parent["id"]]}
    [outcome] = bounded.post(f"{PREFIX}/runs/bulk", json=body).json()
    assert (outcome["done"], "VISE_MAX_OPEN_RUNS" in outcome["message"]) == (False, True)
    assert bounded.get(f"{PREFIX}/runs/{parent['id']}").json()["state"] == "cancelled"


@pytest.fixture
def statements(editor) -> Iterator[list[str]]:
    """The statements that the API sends, of which SQLAlchemy writes a thousand rows each."""
    sent: list[str] = []

    def note(*given: object) -> None:
        sent.append(str(given[2]))

    event.listen(editor.app.state.engine, "before_cursor_execute", note)
    yield sent
    event.remove(editor.app.state.engine, "before_cursor_execute", note)


def test_a_thousand_steps_take_a_bounded_number_of_statements(editor, statements) -> None:
    """Each of them while all steps are locked, and their workers wait to renew their leases."""
    counts: list[dict[str, int]] = []

    def act(parent: str, action: str, state: str, *, in_bulk: bool = False) -> None:
        before = len(statements)
        if in_bulk:
            response = editor.post(f"{PREFIX}/runs/bulk", json={"action": action, "ids": [parent]})
            assert response.json()[0]["done"], response.text
            counts[-1][f"{action} in bulk"] = len(statements) - before
        else:
            response = editor.post(f"{PREFIX}/runs/{parent}/{action}")
            assert response.status_code == 200, response.text
            counts[-1][action] = len(statements) - before
        assert editor.get(f"{PREFIX}/runs/{parent}").json()["state"] == state

    def end_first(parent: str, state: RunState) -> None:
        """The worker of the first step, which all others read, writes its end."""
        with editor.app.state.sessions.begin() as db:
            first = db.scalars(select(Run.id).where(Run.parent_id == parent).order_by(Run.position)).first()
            claim = claim_run(db, first, "w", 60)
            before = len(statements)
            finish_run(db, first, claim.token, state, result={}, headline={})
            counts[-1][f"first step {state}"] = len(statements) - before

    for number in (10, STEPS):
        counts.append({})
        before = len(statements)
        parent = editor.post(f"{PREFIX}/recipes/runs", json=chain(number)).json()["id"]
        counts[-1]["create"] = len(statements) - before
        act(parent, "pause", "paused")
        act(parent, "resume", "running")
        act(parent, "pause", "paused", in_bulk=True)
        act(parent, "resume", "running", in_bulk=True)
        end_first(parent, RunState.failed)
        act(parent, "retry", "running")
        act(parent, "cancel", "cancelled", in_bulk=True)
        act(parent, "retry", "running", in_bulk=True)
        end_first(parent, RunState.succeeded)
        act(parent, "cancel", "cancelled")
        grid = {"posts_per_shard": [*range(1, number)]}
        sweep = {"stage": "ingest", "base": SAMPLE["spec"], "grid": grid}
        before = len(statements)
        assert editor.post(f"{PREFIX}/sweeps", json={"spec": sweep}).status_code == 201
        counts[-1]["sweep"] = len(statements) - before
    few, many = counts
    more = {action: many[action] - few[action] for action in few}
    assert {action: number for action, number in more.items() if number > 5} == {}
    with editor.app.state.sessions() as db:
        states = dict(db.execute(select(Run.state, func.count()).group_by(Run.state)).all())
        ends = select(func.count()).select_from(RunEvent).where(RunEvent.to_state == "paused")
        assert db.scalar(ends) == 2 * (STEPS + 10 + 2)
    assert states == {"cancelled": STEPS + 10, "succeeded": 2, "queued": STEPS + 10}


def test_a_bulk_action_commits_in_between(editor, monkeypatch) -> None:
    """Another session sees the runs that are done, and none of them is locked."""
    ids = [editor.post(f"{PREFIX}/runs", json=SAMPLE).json()["id"] for _ in range(3)]
    seen: list[int] = []
    cancel = bulk.request_cancel

    def cancel_and_count(db: Session, run_id: UUID) -> None:
        with editor.app.state.sessions() as other:
            free = select(Run.id).where(Run.state == "cancelled").with_for_update(skip_locked=True)
            seen.append(len(other.scalars(free).all()))
        cancel(db, run_id)

    monkeypatch.setattr(bulk, "request_cancel", cancel_and_count)
    monkeypatch.setattr(bulk, "TRANSACTION_SECONDS", 0)
    outcomes = editor.post(f"{PREFIX}/runs/bulk", json={"action": "cancel", "ids": ids}).json()
    assert ([outcome["done"] for outcome in outcomes], seen) == ([True] * 3, [0, 1, 2])
    with editor.app.state.sessions() as db:
        assert db.scalar(select(func.count()).select_from(Audit).where(Audit.action == "cancelled")) == 3


def test_a_thousand_steps_are_created_and_cancelled_within_seconds(editor) -> None:
    body, began = chain(STEPS), time.monotonic()
    parent = editor.post(f"{PREFIX}/recipes/runs", json=body).json()
    created = time.monotonic()
    editor.post(f"{PREFIX}/runs/{parent['id']}/cancel")
    assert created - began < 30
    assert time.monotonic() - created < 10


def test_what_is_written_together_is_as_if_written_one_by_one(editor) -> None:
    parent = editor.post(f"{PREFIX}/recipes/runs", json=chain(3)).json()
    with editor.app.state.sessions() as db:
        runs = db.scalars(select(Run).where(Run.parent_id == parent["id"]).order_by(Run.position)).all()
        assert [run.id for run in runs] == sorted(run.id for run in runs)
        assert [(run.state, run.reason) for run in runs] == [
            ("queued", None),
            ("waiting", "waits for ingest"),
            ("waiting", "waits for ingest"),
        ]
        assert [run.depends_on for run in runs] == [[], [runs[0].id], [runs[0].id]]
        assert runs[1].group_key == runs[2].group_key != runs[0].group_key
        assert db.scalars(select(Outbox.argument)).all() == [runs[0].id]
        parameters = db.execute(text("SELECT run_id, count(*) FROM run_params GROUP BY run_id")).all()
        assert {row.run_id for row in parameters} == {run.id for run in runs}


def test_a_user_has_a_quota_of_predictions_a_minute(bounded, settings) -> None:
    with bounded.app.state.sessions() as db:
        user = bounded.get(f"{PREFIX}/auth/me").json()["id"]
        db.execute(text("SET session_replication_role = replica"))  # Predictions without a model.
        db.add_all(Prediction(model_id=user, created_by=user, state="failed", options={}) for _ in range(2))
        db.commit()
    picture = {"image": ("a.png", bytes.fromhex(PNG), "image/png")}
    refused = bounded.post(f"{PREFIX}/predictions", files=picture)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "VISE_MAX_PREDICTIONS_PER_MINUTE" in refused.json()["detail"]
    assert bounded.post(f"{PREFIX}/engagement", files=picture).status_code == 429


def test_a_user_has_a_quota_of_uploaded_bytes(bounded, tokens) -> None:
    headers = {"Authorization": f"Bearer {tokens[Role.admin]}"}
    query = {"name": "x", "filename": "x.zip"}
    body = b"PK\x03\x04" + bytes(2000)
    refused = bounded.post(f"{PREFIX}/datasets/upload", params=query, content=body, headers=headers)
    assert refused.status_code == 413
    assert "VISE_MAX_USER_UPLOAD_BYTES" in refused.json()["detail"]


def test_uploads_that_run_at_once_do_not_pass_the_quota_together(settings, tokens) -> None:
    """Each of them alone would fit; the first has sent its bytes, but has not ended, when the second begins."""
    headers = {"Authorization": f"Bearer {tokens[Role.admin]}"}
    archive = b"PK\x03\x04" + bytes(600)
    refused: list[httpx.Response] = []

    def body() -> Iterator[bytes]:
        yield archive
        while not reserved():
            time.sleep(0.02)
        refused.append(upload("second", archive))
        yield b"\0"

    def reserved() -> int:
        with app.state.sessions() as db:
            return db.scalar(select(func.count()).select_from(UploadReservation)) or 0

    # Not the test client, which reads a body before it sends it.
    app = create_app(settings.model_copy(update={"max_user_upload_bytes": 1024}))
    with serving(app) as url, httpx.Client(base_url=url, headers=headers, timeout=60) as client:

        def upload(name: str, content: bytes | Iterator[bytes]) -> httpx.Response:
            query = {"name": name, "filename": f"{name}.zip"}
            return client.post(f"{PREFIX}/datasets/upload", params=query, content=content)

        first = upload("first", body())
        assert first.status_code == 201, first.text
        assert refused[0].status_code == 413, refused[0].text
        # What was reserved beyond its size is free again.
        small = upload("small", archive[:300])
        assert small.status_code == 201, small.text
        assert reserved() == 0


def test_only_admins_bring_data_in_by_whichever_route(editor, tokens) -> None:
    spec = {"url": "https://example.org/a.zip"}
    step = {"stage": "fetch", "spec": spec}
    bodies = {
        "runs": step,
        "recipes/runs": {"spec": {"title": "t", "steps": {"a": step}}},
        "sweeps": {"spec": {"stage": "fetch", "base": spec, "grid": {"samples": [1, 2]}}},
        "datasets/url": {"name": "a", "url": spec["url"]},
    }
    admin = {"Authorization": f"Bearer {tokens[Role.admin]}"}
    for path, body in bodies.items():
        assert editor.post(f"{PREFIX}/{path}", json=body).status_code == 403, path
        assert editor.post(f"{PREFIX}/{path}", json=body, headers=admin).status_code == 201, path
    run = editor.post(f"{PREFIX}/runs", json=step, headers=admin).json()
    assert editor.post(f"{PREFIX}/runs/{run['id']}/clone", json={}).status_code == 403


@pytest.mark.parametrize(
    ("action", "state"), [("retry", "failed"), ("retry", "cancelled"), ("resume", "paused")]
)
def test_who_is_no_admin_any_more_does_not_start_a_fetch_again(editor, action: str, state: str) -> None:
    with editor.app.state.sessions.begin() as db:
        user = users.find_user(db, "editor@example.org")
        spec = {"url": "https://example.org/a.zip"}
        run = create_run(db, RunCreate(stage="fetch", spec=spec), user.id, Allowance(admin=True))
        run.state = state
        run_id = str(run.id)
    refused = editor.post(f"{PREFIX}/runs/{run_id}/{action}")
    assert refused.status_code == 403
    assert "only admins launch 'fetch'" in refused.json()["detail"]
    (outcome,) = editor.post(f"{PREFIX}/runs/bulk", json={"action": action, "ids": [run_id]}).json()
    assert (outcome["done"], "only admins" in outcome["message"]) == (False, True)
    assert editor.get(f"{PREFIX}/runs/{run_id}").json()["state"] == state


@pytest.mark.parametrize(
    "spec",
    [
        {"download_bytes": 10**15},
        {"limits": {"bytes": 10**15}},
        {"limits": {"files": 10**9}},
        {"limits": {"ratio": 1e9}},
    ],
)
def test_limits_of_a_download_have_upper_bounds(editor, tokens, spec) -> None:
    body = {"stage": "fetch", "spec": {"url": "https://example.org/a.zip"} | spec}
    admin = {"Authorization": f"Bearer {tokens[Role.admin]}"}
    assert editor.post(f"{PREFIX}/runs", json=body, headers=admin).status_code == 422


PNG = (
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000"
    "000049454e44ae426082"
)


@pytest.mark.parametrize("route", ["runs", "recipes/runs", "sweeps"])
def test_a_time_limit_and_tags_are_of_each_run_and_of_a_copy(editor, route) -> None:
    body = {
        "runs": SAMPLE,
        "recipes/runs": chain(3),
        "sweeps": {"spec": {"stage": "ingest", "base": SAMPLE["spec"], "grid": {"source.posts": [30, 40]}}},
    }[route]
    for wrong in (0, -1, 10_001):
        refused = editor.post(f"{PREFIX}/{route}", json={**body, "max_hours": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "max_hours")
    made = editor.post(f"{PREFIX}/{route}", json={**body, "max_hours": 1.5, "tags": ["kept"]}).json()
    copy = editor.post(f"{PREFIX}/runs/{made['id']}/clone", json={}).json()
    for run in (made, copy):
        assert (run["max_hours"], run["tags"]) == (1.5, ["kept"])
        children = [editor.get(f"{PREFIX}/runs/{child['id']}").json() for child in run["children"]]
        assert [child["max_hours"] for child in children] == [1.5] * len(children)
    assert (
        len(copy["children"]) == len(made["children"]) == {"runs": 0, "recipes/runs": 3, "sweeps": 2}[route]
    )
