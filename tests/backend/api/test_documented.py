"""The OpenAPI document names the statuses that any operation may send, before its route is reached."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from tests.backend.api.test_routes import Operation, Walk
from vise_client.bodies import BoundedBody, Message
from vise_client.schemas.accounts import Role


def test_the_statuses_of_all_checks_before_a_route_are_documented(
    api: TestClient, sessions: dict[Role, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the token, the role, the size of a body and the time that it takes, and of a database that does not respond."""
    walk = Walk(api, {"run_id": str(uuid4())})
    operations = [found for found in walk.operations() if not found.path.endswith("/logout")]
    sent: list[int] = []

    def send(operation: Operation, token: str | None, **raw: Any) -> None:
        sent.append(walk.send(operation, token, **raw).status_code)

    for operation in operations:
        send(operation, None)
        send(operation, sessions[Role.viewer])
        if operation.media:
            length = {"Content-Type": operation.media, "Content-Length": str(10**15)}
            send(operation, sessions[Role.admin], content=b"x", headers=length)
    assert walk.faults == []

    async def too_slow(_: BoundedBody) -> Message:
        raise HTTPException(408, "the body takes too long")

    with monkeypatch.context() as patched:
        patched.setattr(BoundedBody, "receive", too_slow)
        for operation in operations:
            if operation.media:
                send(operation, sessions[Role.admin])
    assert walk.faults == []

    def away(*_: object, **__: object) -> None:
        raise PoolTimeout("QueuePool limit of size 10 overflow 20 reached")

    for factory in ("sessions", "reading"):
        monkeypatch.setattr(getattr(api.app.state, factory), "class_", away)  # type: ignore[attr-defined]
    for operation in operations:
        send(operation, sessions[Role.admin])
    assert [fault for fault in walk.faults if "is an error of the server" not in fault] == []
    numbers = {status: sent.count(status) for status in (401, 403, 408, 413, 503)}
    assert min(numbers.values()) > 20, numbers
