"""Wrong passwords slow down the next ones, of that account and address, and lock nobody out."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from backend.api.app import PREFIX, create_app
from backend.store.accounts import attempts, users
from vise_client.schemas.accounts import Role

PASSWORD = "correct horse battery"
ADMIN, EDITOR = "admin@example.org", "editor@example.org"
FREE = attempts.ACCOUNT_AND_ADDRESS.free
Client = Callable[[str], TestClient]


@pytest.fixture(autouse=True)
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted here does not depend on how a password is hashed."""

    def verify(db, email: str, password: str):
        return users.find_user(db, email) if password == PASSWORD else None

    monkeypatch.setattr(users, "verify_password", verify)


@pytest.fixture
def client(settings) -> Iterator[Client]:
    """Return a client with an address of its own; 10.0.0.0/8 are trusted proxies."""
    app = create_app(settings.model_copy(update={"trusted_proxies": "10.0.0.0/8"}))
    with ExitStack() as stack:
        yield lambda address: stack.enter_context(TestClient(app, client=(address, 1)))


def login(api: TestClient, email: str, password: str, **headers: str):
    return api.post(f"{PREFIX}/auth/login", json={"email": email, "password": password}, headers=headers)


def fail(api: TestClient, email: str, times: int, **headers: str) -> None:
    for _ in range(times):
        assert login(api, email, "wrong", **headers).status_code == 401


def age(api: TestClient, seconds: float) -> None:
    """Let time pass for the attempts so far."""
    with api.app.state.sessions.begin() as db:
        db.execute(text("UPDATE login_attempts SET at = at - make_interval(secs => :s)"), {"s": seconds})


def test_each_failure_doubles_the_wait_for_the_next_attempt(client) -> None:
    api = client("203.0.113.5")
    fail(api, ADMIN, FREE)
    waits = []
    for _ in range(11):
        refused = login(api, ADMIN, PASSWORD)
        assert refused.status_code == 429
        assert "wait" in refused.json()["detail"]
        waits.append(int(refused.headers["retry-after"]))
        age(api, waits[-1])
        fail(api, ADMIN, 1)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_after_the_wait_the_right_password_signs_in_and_clears_the_count(client) -> None:
    api = client("203.0.113.5")
    fail(api, ADMIN, FREE)
    assert login(api, ADMIN, PASSWORD).status_code == 429
    age(api, 2)
    assert login(api, ADMIN, PASSWORD).status_code == 200
    fail(api, ADMIN, FREE)


def test_the_wait_of_one_account_or_address_is_not_that_of_others(client) -> None:
    attacker, user = client("203.0.113.5"), client("198.51.100.1")
    fail(attacker, ADMIN, FREE)
    assert login(attacker, ADMIN, PASSWORD).status_code == 429
    assert login(attacker, EDITOR, PASSWORD).status_code == 200
    assert login(user, ADMIN, PASSWORD).status_code == 200


def test_an_attack_from_everywhere_does_not_stop_users_where_they_usually_sign_in(client) -> None:
    user = client("198.51.100.1")
    assert login(user, ADMIN, PASSWORD).status_code == 200
    for host in range(attempts.ACCOUNT.free // 4):
        fail(client(f"203.0.113.{host}"), ADMIN, 4)
    assert login(client("203.0.113.99"), ADMIN, PASSWORD).status_code == 429
    assert login(user, ADMIN, PASSWORD).status_code == 200


def test_an_address_that_tries_many_accounts_is_slowed_down_but_its_known_users_are_not(client) -> None:
    api = client("203.0.113.5")
    assert login(api, EDITOR, PASSWORD).status_code == 200
    for number in range(attempts.ADDRESS.free):
        fail(api, f"{number}@example.org", 1)
    assert login(api, ADMIN, PASSWORD).status_code == 429
    assert login(api, EDITOR, PASSWORD).status_code == 200


def test_addresses_are_believed_from_trusted_proxies_only(client) -> None:
    stranger, pages = client("203.0.113.5"), client("10.0.0.7")
    for number in range(FREE):
        fail(stranger, ADMIN, 1, **{"X-Forwarded-For": f"198.51.100.{number}"})
    assert login(stranger, ADMIN, PASSWORD, **{"X-Forwarded-For": "198.51.100.99"}).status_code == 429
    fail(pages, EDITOR, FREE, **{"X-Forwarded-For": "192.0.2.1"})
    assert login(pages, EDITOR, PASSWORD, **{"X-Forwarded-For": "192.0.2.1"}).status_code == 429
    assert login(pages, EDITOR, PASSWORD, **{"X-Forwarded-For": "192.0.2.2"}).status_code == 200


def test_a_host_has_a_whole_network_of_ipv6_to_itself(client) -> None:
    for number in range(FREE):
        fail(client(f"2a00:1:2:3::{number + 1}"), ADMIN, 1)
    assert login(client("2a00:1:2:3::ff"), ADMIN, PASSWORD).status_code == 429
    assert login(client("2a00:1:2:4::1"), ADMIN, PASSWORD).status_code == 200


def test_attempts_are_counted_over_processes_and_restarts_and_at_once(client, settings) -> None:
    first = client("203.0.113.5")
    with TestClient(create_app(settings), client=("203.0.113.5", 1)) as second, ThreadPoolExecutor(8) as pool:
        statuses = pool.map(
            lambda number: login((first, second)[number % 2], ADMIN, "wrong").status_code, range(24)
        )
        counted = list(statuses)
    # The first wait is one second, in which at most a few more may fall due.
    assert FREE <= counted.count(401) <= FREE + 2
    assert set(counted) == {401, 429}


@pytest.mark.parametrize(
    ("email", "address", "waits"),
    [(ADMIN, "203.0.113.6", True), (EDITOR, "203.0.113.5", True), (EDITOR, "203.0.113.6", False)],
)
def test_an_attempt_waits_until_those_of_its_account_and_address_are_counted(
    client, email: str, address: str, waits: bool
) -> None:
    sessions = client("203.0.113.5").app.state.sessions

    def begin() -> None:
        with sessions.begin() as db:
            attempts.begin(db, email, address)

    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as first:
            attempts.begin(first, ADMIN, "203.0.113.5")
            second = pool.submit(begin)
            assert bool(wait([second], 1.0 if waits else 10.0).done) is not waits
        second.result(10)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tokens", {"name": "x", "password": "wrong"}),
        ("auth/password", {"current": "wrong", "new": "another long one"}),
    ],
)
def test_a_session_cannot_try_passwords_faster_than_a_sign_in(client, sessions, path, body) -> None:
    api = client("203.0.113.5")
    headers = {"Authorization": f"Bearer {sessions[Role.editor]}"}
    statuses = [api.post(f"{PREFIX}/{path}", json=body, headers=headers).status_code for _ in range(FREE + 1)]
    assert statuses == [*[422] * FREE, 429]


def test_old_failures_are_forgotten_and_deleted(client) -> None:
    api = client("203.0.113.5")
    fail(api, ADMIN, FREE)
    age(api, attempts.WINDOW.total_seconds() + 1)
    fail(api, ADMIN, 1)
    with api.app.state.sessions() as db:
        assert db.scalar(text("SELECT count(*) FROM login_attempts")) == 1
