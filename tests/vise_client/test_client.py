"""What the two clients do with responses: results, errors, pages, streams, and answers that take a while."""

import asyncio
import hashlib
import inspect
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn

from vise_client import operation, sender
from vise_client.client import AsyncViseClient, ViseClient
from vise_client.errors import ApiError, ClientError, NotSignedIn, Unreachable
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState

Handler = Callable[[httpx.Request], httpx.Response]
Call = Callable[..., Any]


def blocking(handler: Handler, call: Call) -> Any:
    """Result of ``call`` on a ViseClient whose requests the handler answers."""
    with ViseClient("http://server/", "secret") as vise:
        _answer(vise, httpx.Client, handler)
        result = call(vise)
        return list(result) if inspect.isgenerator(result) else result


def awaited(handler: Handler, call: Call) -> Any:
    """The same on an AsyncViseClient."""

    async def run() -> Any:
        async with AsyncViseClient("http://server/", "secret") as vise:
            _answer(vise, httpx.AsyncClient, handler)
            result = call(vise)
            return [item async for item in result] if inspect.isasyncgen(result) else await result

    return asyncio.run(run())


def _answer(vise: Any, kind: type, handler: Handler) -> None:
    vise._http = kind(
        transport=httpx.MockTransport(handler), base_url=vise._http.base_url, headers=vise._http.headers
    )


@pytest.fixture(params=[blocking, awaited])
def ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr(operation, "POLL_SECONDS", 0.01)
    return request.param


def test_a_request_carries_token_and_address(ask: Call) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    def call(vise: Any) -> Any:
        return vise.logs(UUID(int=7), after=-1, level="error")

    assert ask(handler, call) == []
    assert str(seen[0].url) == f"http://server/api/v1/runs/{UUID(int=7)}/logs?after=-1&level=error"
    assert seen[0].headers["authorization"] == "Bearer secret"


def test_a_problem_of_the_server_is_raised_with_all_that_it_says(ask: Call) -> None:
    problem = {"title": "Invalid", "status": 422, "detail": "spec.base_lr: too large", "errors": [{"loc": 1}]}
    with pytest.raises(ApiError, match="base_lr: too large") as raised:
        ask(lambda _: httpx.Response(422, json=problem), lambda vise: vise.run("7"))
    assert raised.value.status == 422
    assert raised.value.problem.errors == [{"loc": 1}]


def test_an_error_that_is_no_problem_document_is_raised_as_its_text(ask: Call) -> None:
    with pytest.raises(ApiError, match="upstream gone"):
        ask(lambda _: httpx.Response(502, text="upstream gone"), lambda vise: vise.me())


def test_a_missing_token_is_told_apart(ask: Call) -> None:
    with pytest.raises(NotSignedIn):
        ask(lambda _: httpx.Response(401, json={"title": "No token", "status": 401}), lambda vise: vise.me())


def test_no_server_at_the_address(ask: Call) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unreachable, match="no server responds at http://server: start it with `vise up`"):
        ask(handler, lambda vise: vise.me())


def test_the_health_of_a_degraded_server_is_a_result(ask: Call) -> None:
    body = {"status": "degraded", "version": "1", "database": True, "broker": False}
    health = ask(lambda _: httpx.Response(503, json=body), lambda vise: vise.health())
    assert (health.status, health.broker) == ("degraded", False)


def test_nothing_is_returned_where_nothing_is_answered(ask: Call) -> None:
    assert ask(lambda _: httpx.Response(204), lambda vise: vise.delete_run("7")) is None


def test_all_pages_of_a_list(ask: Call) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.params["task"] == "emotion"
        page = int(request.url.params.get("cursor", 0))
        return httpx.Response(200, json={"items": [_label(page)], "next_cursor": f"{page + 1}" * (page < 2)})

    def call(vise: Any) -> Any:
        return vise.iterate(vise.feedback, task="emotion")

    assert [item.label for item in ask(lambda r: _null(handler(r)), call)] == ["0", "1", "2"]


def test_an_upload_is_sent_in_pieces(ask: Call) -> None:
    content = bytes(range(256)) * 2**13

    def handler(request: httpx.Request) -> httpx.Response:
        assert dict(request.url.params) == {"name": "faces", "filename": "faces.zip", "kind": "images"}
        sent = hashlib.sha256(request.content).hexdigest()
        return httpx.Response(201, json=_dataset(description=sent))

    def call(vise: Any) -> Any:
        return vise.upload_dataset("faces", "faces.zip", io.BytesIO(content), kind="images")

    assert ask(handler, call).description == hashlib.sha256(content).hexdigest()


def test_a_prediction_is_polled_until_it_is_there(ask: Call) -> None:
    states = iter(["queued", "queued", "succeeded"])
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json=_engagement(state=next(states)))

    assert ask(handler, lambda vise: vise.predict_engagement(b"image")).state == "succeeded"
    first = "POST /api/v1/engagement"
    assert seen == [first, *[f"GET /api/v1/engagement/{UUID(int=1)}"] * 2]


def test_a_prediction_that_takes_too_long_is_returned_queued(ask: Call) -> None:
    queued = httpx.Response(202, json=_engagement(state="queued"))
    assert ask(lambda _: queued, lambda vise: vise.predict_engagement(b"image", wait=0)).state == "queued"


def test_a_prediction_that_failed_is_raised(ask: Call) -> None:
    failed = httpx.Response(200, json=_engagement(state="failed", error="the image is damaged"))
    with pytest.raises(ApiError, match="the image is damaged") as raised:
        ask(lambda _: failed, lambda vise: vise.predict_engagement(b"image"))
    assert raised.value.status == 422


def test_a_run_that_never_ends_is_not_waited_for_longer_than_asked(ask: Call) -> None:
    run = httpx.Response(200, json=_run(RunState.running))
    seen: list[Any] = []
    with pytest.raises(ClientError, match="is still running after 1e-09 s"):
        ask(lambda _: run, lambda vise: vise.wait_for("7", timeout=1e-9, on_update=seen.append))
    assert [item.state for item in seen] == [RunState.running]
    over = httpx.Response(200, json=_run(RunState.failed))
    assert ask(lambda _: over, lambda vise: vise.wait_for("7")).state is RunState.failed


def test_a_download_gets_its_name_when_it_is_whole(ask: Call, tmp_path: Path) -> None:
    content = b"weights" * 1000
    headers = {"etag": f'"{hashlib.sha256(content).hexdigest()}"'}
    target = tmp_path / "model.safetensors"
    whole = httpx.Response(200, content=content, headers=headers)
    ask(lambda _: whole, lambda vise: vise.download("7", target))
    assert target.read_bytes() == content
    damaged = httpx.Response(200, content=content[:-1], headers=headers)
    with pytest.raises(ClientError, match="is damaged"):
        ask(lambda _: damaged, lambda vise: vise.download("7", tmp_path / "other"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_download_that_breaks_off_leaves_no_file_of_that_name(ask: Call, tmp_path: Path) -> None:
    class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise httpx.ReadError("reset")

        async def __aiter__(self) -> Any:
            yield b"half"
            raise httpx.ReadError("reset")

    with pytest.raises(Unreachable, match="the download from http://server broke off: reset"):
        ask(
            lambda _: httpx.Response(200, stream=Broken()),
            lambda vise: vise.download("7", tmp_path / "model"),
        )
    assert not (tmp_path / "model").exists()


def test_the_head_of_an_artifact_is_read_no_further(ask: Call) -> None:
    answered = httpx.Response(200, content=b"0123456789" * 1000)
    assert ask(lambda _: answered, lambda vise: vise.artifact_head("7", 12)) == b"012345678901"


def _null(response: httpx.Response) -> httpx.Response:
    """The last page's cursor is null."""
    body = json.loads(response.content)
    return httpx.Response(200, json=body | {"next_cursor": body["next_cursor"] or None})


def _label(number: int) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "id": str(uuid4()),
        "prediction_id": None,
        "task": "emotion",
        "label": str(number),
        "predicted": "joy",
        "model": "m",
        "synthetic": True,
        "sha256": "0" * 64,
        "created_by": None,
        "created_at": now,
    }


def _dataset(**fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    known = {"id": str(uuid4()), "name": "faces", "kind": "images", "synthetic": False, "created_at": now}
    return known | fields


def _engagement(**fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    ids = {name: str(UUID(int=1)) for name in ("id", "checkpoint_id", "run_id")}
    return ids | {"synthetic": True, "created_at": now} | fields


def _run(state: RunState) -> dict[str, Any]:
    nothing = [
        "reason",
        "parent_id",
        "step",
        "created_by",
        "started_at",
        "finished_at",
        "heartbeat_at",
        "worker",
    ]
    empty: dict[str, Any] = {"tags": [], "artifacts": [], "children": []}
    empty |= {"headline": {}, "spec": {}, "inputs": {}, "latest": {}}
    known = {"id": str(UUID(int=7)), "kind": "stage", "stage": "pretrain", "name": "p", "notes": ""}
    known |= {"queue": "gpu", "attempt": 1, "synthetic": False, "starred": False, "archived": False}
    known |= {"state": state.value, "status": {"label": state.value, "sentence": ""}}
    known |= {"created_at": datetime.now(UTC).isoformat()}
    return dict.fromkeys([*nothing, "progress", "group_key", "result", "error"]) | empty | known


def test_connections_are_dropped_before_a_server_drops_them() -> None:
    """A request fails that is sent on a kept connection just as the server closes it."""
    closed_after = inspect.signature(uvicorn.Config).parameters["timeout_keep_alive"].default
    assert closed_after / 2 >= sender.KEEP_SECONDS
    asynchronous = AsyncViseClient("http://server/")
    with ViseClient("http://server/") as synchronous:
        for client in (synchronous, asynchronous):
            assert client._http._transport._pool._keepalive_expiry == sender.KEEP_SECONDS
    asyncio.run(asynchronous.aclose())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the client makes; no time passes for it, but for the other threads of this process."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("vise_client.sender.sleep", made.append)
    monkeypatch.setattr("vise_client.sender.sleep_async", pause)
    return made


def refusing(times: int, after: str) -> tuple[Handler, list[bytes]]:
    """A handler that refuses the first requests as too many, and the bodies that it got."""
    bodies: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        if len(bodies) <= times:
            problem = {"title": "Too many requests", "status": 429, "detail": f"wait {after} s"}
            return httpx.Response(429, headers={"Retry-After": after}, json=problem)
        return httpx.Response(200, json=[])

    return handler, bodies


def test_a_request_that_was_one_too_many_is_sent_again_when_the_server_says(
    ask: Call, pauses: list[float]
) -> None:
    handler, bodies = refusing(2, "7")
    assert ask(handler, lambda vise: vise.workers()) == []
    assert (len(bodies), pauses) == (3, [7.0, 7.0])


@pytest.mark.parametrize("after", ["3600", "", "soon"])
def test_a_long_or_unknown_wait_is_an_error_at_once(ask: Call, pauses: list[float], after: str) -> None:
    handler, bodies = refusing(9, after)
    with pytest.raises(ApiError) as error:
        ask(handler, lambda vise: vise.workers())
    assert (error.value.status, len(bodies), pauses) == (429, 1, [])


def test_the_waits_of_a_request_are_bounded_together(ask: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    async def pause(seconds: float) -> None:
        clock[0] += seconds

    def advance(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr("vise_client.sender.monotonic", lambda: clock[0])
    monkeypatch.setattr("vise_client.sender.sleep", advance)
    monkeypatch.setattr("vise_client.sender.sleep_async", pause)
    handler, bodies = refusing(99, "40")
    with pytest.raises(ApiError):
        ask(handler, lambda vise: vise.workers())
    assert (len(bodies), clock) == (3, [80.0])


def test_signing_in_does_not_wait(ask: Call, pauses: list[float]) -> None:
    handler, bodies = refusing(9, "1")
    with pytest.raises(ApiError):
        ask(handler, lambda vise: vise.me())
    assert (len(bodies), pauses) == (1, [])


def test_a_file_is_sent_again_from_where_it_began(ask: Call, pauses: list[float]) -> None:
    got: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        got.append(request.content)  # the transport has read it
        return httpx.Response(429 if len(got) == 1 else 409, headers={"Retry-After": "1"}, json={})

    content = io.BytesIO(b"xxarchive")
    content.seek(2)
    with pytest.raises(ApiError):
        ask(handler, lambda vise: vise.upload_dataset("n", "a.zip", content))
    assert got == [b"archive", b"archive"]
    assert pauses == [1.0]


def test_a_request_that_creates_a_run_is_sent_again_with_its_key(
    ask: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "RETRY_PAUSES", (0.01, 0.01))
    keys: list[str] = []

    def away(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("cut off", request=request)
        return httpx.Response(503, json={"title": "Unavailable", "status": 503})

    with pytest.raises(ApiError):
        ask(away, lambda vise: vise.create_run(RunCreate(stage="ingest")))
    assert len(keys) == 3
    assert len(set(keys)) == 1

    def bad(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return httpx.Response(422, json={"title": "Invalid request", "status": 422})

    with pytest.raises(ApiError):
        ask(bad, lambda vise: vise.create_run(RunCreate(stage="ingest")))
    assert len(set(keys)) == 2, "a new request has a new key"
    assert len(keys) == 4
