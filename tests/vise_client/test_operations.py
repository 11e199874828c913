"""Every operation of the API has a client method with the same parameters, and every client method is an operation."""

import inspect
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from vise_client.client import AsyncViseClient, ViseClient
from vise_client.operation import Conversation, Operation
from vise_client.operations import Operations
from vise_client.schemas.predictions import FeedbackCreate

RAW_BODY = {"POST /datasets/upload": "content"}
"""Operations whose body is raw bytes, which the OpenAPI document does not name → the method's parameter."""

OPERATIONS = {
    name: member for name, member in inspect.getmembers(Operations) if isinstance(member, Operation)
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = Settings(
        database_url="postgresql+psycopg://nobody@/none",
        broker_url="redis://none",
        storage_url="file:///none",
    )
    return create_app(settings).openapi()


@pytest.fixture(scope="module")
def routes(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """``GET /runs/{run_id}`` → the operation's description."""
    return {
        f"{method.upper()} {path.removeprefix(PREFIX)}": route
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    }


def test_every_operation_of_the_api_has_one_method(routes: dict[str, dict[str, Any]]) -> None:
    methods = [f"{operation.method} {operation.path}" for operation in OPERATIONS.values()]
    assert sorted(methods) == sorted(routes)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_method_has_the_parameters_of_its_operation(
    name: str, routes: dict[str, dict[str, Any]], document: dict[str, Any]
) -> None:
    operation = OPERATIONS[name]
    key = f"{operation.method} {operation.path}"
    expected = _parameters_of(routes[key], document)
    if key in RAW_BODY:
        expected[RAW_BODY[key]] = (True, None, inspect.Parameter.empty)
    hints = get_type_hints(operation.declaration)
    found = {}
    for parameter in operation.signature.parameters.values():
        required = parameter.default is parameter.empty
        raw = parameter.name in (RAW_BODY.get(key), "image")
        schema = None if raw else _plain(TypeAdapter(_json_type(hints[parameter.name])).json_schema())
        # How long the client waits for an answer is longer than one request may.
        default = 10 if parameter.name == "wait" else parameter.default
        found[parameter.name] = (required, schema, default)
    assert found == expected


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_method_returns_what_its_operation_answers(name: str, routes: dict[str, dict[str, Any]]) -> None:
    operation = OPERATIONS[name]
    route = routes[f"{operation.method} {operation.path}"]
    status = min(code for code in route["responses"] if code.startswith("2"))
    content = route["responses"][status].get("content", {})
    returns = get_type_hints(operation.declaration)["return"]
    if not content:
        assert returns in (None, type(None), bytes)
        return
    answered = _names(content["application/json"]["schema"])
    if returns == dict[str, Any]:  # One of several figures and tables, which the caller knows.
        assert answered == {"ReproducedTable", "OurFigure", "QualitativeFigure"}
        return
    assert answered == _names(TypeAdapter(list[returns]).json_schema()["items"])


def test_both_clients_have_every_method_with_its_signature_and_docstring() -> None:
    members = [name for name, member in inspect.getmembers(Operations) if isinstance(member, Conversation)]
    assert set(OPERATIONS) < set(members)
    blocking, awaited = ViseClient("http://none"), AsyncViseClient("http://none")
    for name in members:
        one, other = getattr(blocking, name), getattr(awaited, name)
        assert inspect.signature(one) == inspect.signature(other)
        assert "self" not in inspect.signature(one).parameters
        assert one.__doc__
        assert one.__doc__ == other.__doc__
        assert not inspect.iscoroutinefunction(one)
        assert inspect.iscoroutinefunction(other)


def test_the_clients_own_methods_are_the_same() -> None:
    def own(client: type, names: dict[str, str]) -> dict[str, list[str]]:
        return {
            names.get(name, name): list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(client, inspect.isfunction)
            if name not in ("__init__", "__enter__", "__aenter__")
        }

    renamed = {"aclose": "close", "__aexit__": "__exit__"}
    assert own(ViseClient, {}) == own(AsyncViseClient, renamed)


def test_only_what_is_given_is_sent() -> None:
    request = Operations.runs.request(state=["failed"], search="", tag=None, count=False)
    assert dict(request.params) == {"state": ["failed"], "count": False}
    assert Operations.report.request("../users").path == "/reports/..%2Fusers"
    with pytest.raises(TypeError, match="stat"):
        Operations.runs.request(stat=["failed"])


def test_an_upload_is_a_form_and_a_body_is_json() -> None:
    upload = Operations.predict.request(b"image", keep=True, model_id=UUID(int=1))
    assert upload.files == {"image": b"image"}
    assert upload.form == {"keep": "True", "model_id": str(UUID(int=1))}
    label = Operations.give_feedback.request("7", FeedbackCreate(label="joy"))
    assert (label.method, label.path) == ("PUT", "/predictions/7/feedback")
    assert label.options()["content"] == '{"label":"joy"}'


def test_an_empty_image_is_uploaded_all_the_same() -> None:
    assert Operations.predict.request(b"").files == {"image": b""}


def _parameters_of(
    route: dict[str, Any], document: dict[str, Any]
) -> dict[str, tuple[bool, dict[str, Any] | None, Any]]:
    """Name → (required, JSON schema without limits and texts, default)."""
    empty = inspect.Parameter.empty
    found = {}
    for parameter in route.get("parameters", []):
        if parameter["name"] == "Idempotency-Key":  # The client makes one for each call.
            continue
        schema, required = parameter["schema"], parameter.get("required", False)
        default = empty if required else schema.get("default")
        found[parameter["name"]] = (required, _plain(schema, document), default)
    content = route.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        found["body"] = (True, _plain(content["application/json"]["schema"], document), empty)
    if "multipart/form-data" in content:
        name = content["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
        form = document["components"]["schemas"][name]
        for field, schema in form["properties"].items():
            required = field in form["required"]
            plain = None if schema.get("contentMediaType") else _plain(schema, document)
            found[field] = (required, plain, empty if required else schema.get("default"))
    return found


def _json_type(annotation: Any) -> Any:
    """The type as it is sent: ``UUID | str`` and ``RunState | str`` are for the caller's convenience."""
    arguments = get_args(annotation)
    if get_origin(annotation) in (Union, type(int | str)):
        special = [a for a in arguments if a is UUID or (isinstance(a, type) and issubclass(a, Enum))]
        kept = [_json_type(a) for a in arguments if not (special and a is str)]
        return Union[tuple(kept)]  # noqa: UP007 - of a variable number
    if arguments and get_origin(annotation) is not None and str(annotation).startswith("collections.abc.Seq"):
        return list[_json_type(arguments[0])]
    return annotation


def _plain(schema: Any, document: dict[str, Any] | None = None) -> Any:
    """The schema's types alone: a model by its name, an enumeration by its values, no limits or texts."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        definitions = document["components"]["schemas"] if document else schema.get("$defs", {})
        target = definitions.get(name, {})
        return {"enum": target["enum"]} if "enum" in target else name
    if schema.get("type") == "object" and "title" in schema:
        return schema["title"]
    kept: dict[str, Any] = {key: schema[key] for key in ("type", "format", "enum", "const") if key in schema}
    inner = {key: schema.get("$defs", {}) for key in ("$defs",) if key in schema}
    if "enum" in kept:
        return {"enum": kept["enum"]}
    if "items" in schema:
        kept["items"] = _plain(schema["items"] | inner, document)
    if "anyOf" in schema:
        kept["anyOf"] = [_plain(one | inner, document) for one in schema["anyOf"]]
    return kept


def _names(schema: dict[str, Any]) -> set[str]:
    """The models that a response's schema names."""
    return {
        part.rpartition("/")[2].rstrip("'")
        for part in str(schema).replace("}", "'").split("'")
        if part.startswith(("#/components/schemas/", "#/$defs/"))
    }
