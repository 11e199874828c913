"""Whatever is sent to any route of the OpenAPI document, the status is one that the document names, never 5xx."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from backend.api.app import PREFIX
from backend.settings import Settings
from vise_client.schemas.accounts import Role
from vise_client.schemas.wire import Problem

NUL, HALF = "a\0b", "a\ud800b"
STORABLE = ["../" * 20, "🦜 ' \" \\ % _ <b> {{7*7}} $(id)", "5" * 5000, "a" * 10**6]
IMAGE = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(200)


@dataclass(frozen=True)
class Operation:
    """One operation of the document. ``texts``: where a text may be sent, as (in, dotted path)."""

    method: str
    path: str
    described: dict[str, Any]
    texts: list[tuple[str, tuple[str, ...]]]

    @property
    def media(self) -> str:
        """Content type of the body; empty without one."""
        return next(iter(self.described.get("requestBody", {}).get("content", {"": None})))


class Walk:
    """Builds requests from the document, sends them, and checks the statuses of the responses."""

    def __init__(self, api: TestClient, ids: dict[str, str]) -> None:
        self.api, self.ids, self.document = api, ids, api.app.openapi()  # type: ignore[attr-defined]
        self.sent, self.faults = 0, list[str]()

    def operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method, described in item.items():
                parameters = [
                    (p["in"], (p["name"],)) for p in described.get("parameters", ()) if p["in"] != "cookie"
                ]
                content = described.get("requestBody", {}).get("content", {})
                body = [("body", place) for part in content.values() for place in self._texts(part["schema"])]
                yield Operation(method.upper(), path, described, parameters + body)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema itself: behind a reference, or the part of a union that is not null."""
        while True:
            if "$ref" in schema:
                schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            elif "anyOf" in schema:
                schema = next(part for part in schema["anyOf"] if part.get("type") != "null")
            else:
                return schema

    def _texts(self, schema: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """The places of a body where a text is expected; ``*`` is any key or index."""
        schema = self._resolved(schema)
        if schema.get("type") == "string":
            yield from () if "contentMediaType" in schema else (place,)
        elif schema.get("type") == "array" and len(place) < 6:
            yield from self._texts(schema.get("items", {"type": "string"}), (*place, "*"))
        elif schema.get("type") == "object" and len(place) < 6:
            for name, part in schema.get("properties", {}).items():
                yield from self._texts(part, (*place, name))
            if (part := schema.get("additionalProperties")) not in (None, False):
                yield from self._texts({"type": "string"} if part is True else part, (*place, "*"))
        elif "type" not in schema:
            yield place

    def example(self, schema: dict[str, Any], place: tuple[str, ...] = (), text: str = "") -> Any:
        """A value that the schema allows, with ``text`` at ``place``, where that is given."""
        schema = self._resolved(schema)
        kind = schema.get("type")
        if not place and text:
            return text
        if "enum" in schema or "const" in schema:
            return schema.get("const", (schema.get("enum") or [None])[0])
        if kind == "string":
            formats = {"uuid": self.ids["run_id"], "date-time": "2026-01-01T00:00:00Z"}
            return formats.get(
                schema.get("format", ""), "a@example.org".ljust(schema.get("minLength", 0), "x")
            )
        if kind in ("integer", "number"):
            return schema.get("minimum", 1)
        if kind == "array":
            items = schema.get("items", {})
            if place:
                return [self.example(items, place[1:], text)]
            return [self.example(items)] * schema.get("minItems", 0)
        if kind == "object":
            fields = schema.get("properties", {})
            made = {name: self.example(fields[name]) for name in schema.get("required", ())}
            if place and place[0] in fields:
                made[place[0]] = self.example(fields[place[0]], place[1:], text)
            elif place:
                more = schema.get("additionalProperties")
                key = text if len(place) == 1 and len(text) < 5000 else "key"
                made[key] = self.example(more if isinstance(more, dict) else {}, place[1:], text)
            return made
        return True

    def send(
        self,
        operation: Operation,
        token: str | None,
        where: str = "",
        place: tuple[str, ...] = (),
        text: str = "",
        **raw: Any,
    ):
        """Send an example with ``text`` at one place; ``raw`` are arguments of the request that replace it."""
        path, query = operation.path, {}
        headers: dict[str, Any] = {"Authorization": f"Bearer {token}"} if token else {}
        for parameter in operation.described.get("parameters", ()):
            name, here = parameter["name"], where == parameter["in"] and place == (parameter["name"],)
            if parameter["in"] == "path":
                known = self.ids.get(name) or self.example(parameter["schema"])
                value = text if here else str(uuid4()) if operation.method == "DELETE" else known
                path = path.replace(f"{{{name}}}", quote(str(value), safe="", errors="surrogatepass"))
            elif parameter["in"] == "header":
                headers |= {name: text.encode(errors="surrogatepass")} if here else {}
            elif here or parameter.get("required"):
                query[name] = text if here else self.example(parameter["schema"])
        asked = "&".join(
            f"{name}={quote(str(value), safe='', errors='surrogatepass')}"
            for name, values in query.items()
            for value in (values if isinstance(values, list) else [values])
        )
        arguments: dict[str, Any] = raw or self._body(operation, place if where == "body" else (), text)
        headers |= arguments.pop("headers", {})
        response = self.api.request(
            operation.method, f"{path}?{arguments.pop('query', asked)}", headers=headers, **arguments
        )
        self.check(operation, response, f"{where} {'.'.join(place)} {text[:30]!r} {str(raw)[:80]}")
        return response

    def _body(self, operation: Operation, place: tuple[str, ...], text: str) -> dict[str, Any]:
        if operation.media == "application/json":
            schema = operation.described["requestBody"]["content"][operation.media]["schema"]
            body = json.dumps(self.example(schema, place, text))
            return {"content": body.encode(), "headers": {"Content-Type": "application/json"}}
        if operation.media == "multipart/form-data":
            encoded = text.encode(errors="surrogatepass")
            fields = [("wait", None, b"0"), ("image", "a.jpg", IMAGE)]
            fields.append((place[0], "a.jpg" if place[0] == "image" else None, encoded)) if place else None
            return multipart(fields)
        return {"content": IMAGE} if operation.path.endswith("/upload") else {}

    def check(self, operation: Operation, response: Any, sent: str) -> None:
        self.sent += 1
        status = response.status_code
        faults = {
            "is an error of the server": status >= 500 and not operation.path.endswith(("/health", "/ready")),
            "is not documented": str(status) not in operation.described["responses"],
            "is no problem document": 400 <= status < 500 and not is_problem(response),
        }
        self.faults += [
            f"{operation.method} {operation.path} {sent}: {status} {fault}: {response.text[:300]}"
            for fault, found in faults.items()
            if found
        ]


def is_problem(response: Any) -> bool:
    return (
        response.headers["content-type"] == "application/problem+json"
        and Problem.model_validate_json(response.content).status == response.status_code
    )


def multipart(fields: list[tuple[str, str | None, bytes]]) -> dict[str, Any]:
    """A form of (name, file's name, content), encoded as they come."""
    parts = b""
    for name, file, content in fields:
        named = f'; filename="{file}"' if file is not None else ""
        disposition = f'Content-Disposition: form-data; name="{name}"{named}'
        parts += b"--limit\r\n" + disposition.encode(errors="surrogatepass") + b"\r\n\r\n" + content + b"\r\n"
    return {
        "content": parts + b"--limit--\r\n",
        "headers": {"Content-Type": "multipart/form-data; boundary=limit"},
    }


@pytest.fixture
def walk(api: TestClient, settings: Settings, sessions: dict[Role, str]) -> Walk:
    """The API with one row of most kinds, so that requests reach the code behind the checks."""
    admin = {"Authorization": f"Bearer {sessions[Role.admin]}"}
    assert settings.data_root is not None
    Path(settings.data_root / "folder").mkdir()
    made = {
        "run_id": ("/runs", {"stage": "ingest", "spec": {"source": {"kind": "sample"}}}),
        "dataset_id": ("/datasets", {"name": "set", "folder": "folder", "kind": "images"}),
        "view_id": ("/views", {"name": "view", "state": {}}),
        "token_id": ("/tokens", {"name": "token"}),
    }
    ids = {"kind": "comments", "name": "table3", "number": "0", "cluster": "0"}
    for name, (path, body) in made.items():
        response = api.post(f"{PREFIX}{path}", json=body, headers=admin)
        assert response.status_code == 201, response.text
        ids[name] = response.json()["id"]
    return Walk(api, ids)


def may_call(walk: Walk, operation: Operation, token: str) -> bool:
    return walk.send(operation, token).status_code != 403


@pytest.mark.parametrize("role", list(Role))
def test_no_text_anywhere_is_an_internal_error(walk: Walk, sessions: dict[Role, str], role: Role) -> None:
    """Each text of each operation, as each role that may call it; what cannot be stored is 422 and names its field."""
    token, called = sessions[role], 0
    for number, operation in enumerate(walk.operations()):
        if operation.path.endswith(("/logout", "/password")) or not may_call(walk, operation, token):
            continue
        called += 1
        for at, (where, place) in enumerate(operation.texts):
            for text in (NUL, HALF) if where == "body" else (NUL,):
                response = walk.send(operation, token, where, place, text)
                if operation.media == "multipart/form-data" and text is HALF:
                    # Bytes that are no UTF-8 become U+FFFD.
                    continue
                named = {
                    part for error in response.json().get("errors", ()) for part in error["field"].split(".")
                }
                names = {place[0], place[0].lower(), "path", "body", place[0] + "[]"}
                if response.status_code != 422 or not named & names:
                    walk.faults.append(
                        f"{operation.method} {operation.path} {where} {place} {text!r}: {response.text}"
                    )
            # The admin sends each of these; for the other roles, which run the same code, one a field is enough.
            storable = STORABLE if role is Role.admin else [STORABLE[(number + at) % len(STORABLE)]]
            for text in storable:
                if where == "body" or len(text) <= 5000:
                    walk.send(operation, token, where, place, text)
    assert walk.faults == []
    assert called > {Role.viewer: 40, Role.editor: 60, Role.admin: 70}[role]
    assert walk.sent > 300


def numbers_and_nesting() -> dict[str, bytes]:
    """JSON documents that parse, or nearly so, and that nothing can store."""
    return {
        "200,000 deep": b"[" * 200_000 + b"]" * 200_000,
        "900 deep": b'{"a":' * 900 + b"1" + b"}" * 900,
        "60 deep": b'{"spec":' + b"[" * 60 + b"]" * 60 + b"}",
        "NaN": b'{"spec": {"seed": NaN}}',
        "Infinity": b'{"spec": {"seed": -Infinity}}',
        "a large integer": b'{"spec": {"seed": 1' + b"0" * 30 + b"}}",
        "5,000 digits": b'{"spec": {"seed": 1' + b"0" * 5000 + b"}}",
        "half a character, raw": b'{"name": "\xed\xa0\x80"}',
        "NUL in a key": b'{"a\\u0000": 1}',
        "half a character in a key": b'{"spec": {"\\udc00": 1}}',
        "UTF-16": '{"name": "\0"}'.encode("utf-16"),
        "not UTF-8": b'{"name": "\xff"}',
        "a long key": b'{"' + b"k" * 5000 + b'": 1}',
        "a text": b'"text"',
        "nothing": b"null",
        "half": b'{"name": ',
    }


def test_no_json_document_is_an_internal_error(walk: Walk, sessions: dict[Role, str]) -> None:
    asked = 0
    for operation in walk.operations():
        for name, document in numbers_and_nesting().items() if operation.media == "application/json" else ():
            json_body = {"content": document, "headers": {"Content-Type": "application/json"}}
            response = walk.send(operation, sessions[Role.admin], **json_body)
            asked += 1
            # 404: some routes look for what they change before the form of the body is checked.
            if response.status_code not in (400, 403, 404, 422):
                walk.faults.append(f"{operation.method} {operation.path} {name}: {response.status_code}")
    assert walk.faults == []
    assert asked > 200


def test_no_name_header_or_query_is_an_internal_error(walk: Walk, sessions: dict[Role, str]) -> None:
    token = sessions[Role.admin]
    for operation in walk.operations():
        if operation.path.endswith("/logout"):
            continue
        sent = [
            walk.send(operation, token, query=query)
            for query in ("a=%00", "%00=a", "a%ED%A0%80=%FF&%", "=&&=")
        ]
        sent.append(walk.send(operation, token, headers={"If-None-Match": "\0"}))
        assert [sent[place].status_code for place in (0, 1, 4)] == [422] * 3, operation.path
        if operation.media == "multipart/form-data":
            for name, file in (
                ("a\0", None),
                ("image", "a\0.png"),
                ("\ud800", None),
                ("i" * 9000, None),
                ("", ""),
            ):
                walk.send(operation, token, **multipart([("image", "a.jpg", IMAGE), (name, file, b"1")]))
            unstorable = walk.send(operation, token, **multipart([("image", "a\0.png", IMAGE)]))
            assert unstorable.json()["errors"][0]["field"] == "image.filename"
    assert walk.faults == []


def test_a_method_that_a_path_lacks_is_405_with_those_it_has(
    api: TestClient, sessions: dict[Role, str]
) -> None:
    """Also where another route would take the last part for an id, such as ``PATCH /runs/groups``."""
    headers = {"Authorization": f"Bearer {sessions[Role.admin]}"}
    for path, item in api.app.openapi()["paths"].items():  # type: ignore[attr-defined]
        has = {method.upper() for method in item}
        asked = re.sub(r"\{\w+\}", str(uuid4()), path)
        for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "TRACE"} - has:
            response = api.request(method, asked, headers=headers)
            assert response.status_code == 405, (method, path)
            assert set(response.headers["allow"].split(", ")) == has, (method, path)
            assert is_problem(response)


def test_every_text_of_a_request_has_a_greatest_length(walk: Walk) -> None:
    """Free-form values (a spec, the values of a grid) have the one of ``check_texts``."""

    def unbounded(schema: dict[str, Any], place: str) -> Iterator[str]:
        for union in ("anyOf", "oneOf"):
            for part in schema.get(union, ()):
                yield from unbounded(part, place)
        if "$ref" in schema or "anyOf" in schema:
            schema = walk._resolved(schema)
        limits = {"maxLength", "enum", "const", "format", "pattern", "contentMediaType"}
        if schema.get("type") == "string" and not limits & schema.keys():
            yield place
        inside = [
            schema.get("items"),
            schema.get("additionalProperties"),
            *schema.get("properties", {}).values(),
        ]
        names = ["[]", "{}", *schema.get("properties", {})]
        for name, part in zip(names, inside, strict=True):
            if isinstance(part, dict) and place.count(".") < 8:
                yield from unbounded(part, f"{place}.{name}")

    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(walk.document)))
    assert named <= walk.document["components"]["schemas"].keys()
    found = []
    for operation in walk.operations():
        for parameter in operation.described.get("parameters", ()):
            found += unbounded(parameter["schema"], f"{operation.path} {parameter['name']}")
        for content in operation.described.get("requestBody", {}).get("content", {}).values():
            found += unbounded(content["schema"], f"{operation.method} {operation.path}")
    assert found == []


@pytest.mark.parametrize("format", ["markdown", "csv", "latex", "png", "svg", "pdf"])
def test_a_report_on_an_unknown_task_says_so(api: TestClient, sessions: dict[Role, str], format: str) -> None:
    headers = {"Authorization": f"Bearer {sessions[Role.viewer]}"}
    for report in api.get(f"{PREFIX}/reports", headers=headers).json():
        if format in report["formats"]:
            asked = {"format": format, "task": "nobody's task", "only_run": True}
            response = api.get(f"{PREFIX}/reports/{report['name']}", params=asked, headers=headers)
            assert response.status_code in (200, 422), (report["name"], response.text)
            if response.status_code == 422:
                assert "nobody's task" in response.json()["detail"]


def test_a_folder_of_900_characters_is_no_folder(api: TestClient, sessions: dict[Role, str]) -> None:
    body = {"name": "long", "folder": "f" * 900, "kind": "images"}
    headers = {"Authorization": f"Bearer {sessions[Role.admin]}"}
    response = api.post(f"{PREFIX}/datasets", json=body, headers=headers)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "folder"
