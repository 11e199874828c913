"""What `make load` counts, and when it fails; the stack itself is too much for the suite."""

import random
from uuid import UUID

import pytest

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from tests.load.__main__ import report
from tests.load.clients import SHARES, Load, Sample, share
from tests.load.content import Content
from tests.load.reads import DOWNLOADS, routes

SOME = [UUID(int=1)]
KINDS = (
    *("run", "artifact", "explorer", "dataset", "folder"),
    *("model", "prediction", "engagement", "ablation", "removal", "user"),
)
FULL = Content(dict.fromkeys(KINDS, SOME) | {"evaluation": SOME * 2}, ["Table 6"])
WELL = [Sample(kind, kind, 0.01 * n) for kind in SHARES for n in range(20)]


@pytest.fixture(scope="module")
def paths() -> dict:
    settings = Settings(
        database_url="postgresql+psycopg://nobody@/none",
        broker_url="redis://none",
        storage_url="file:///none",
    )
    documented = create_app(settings).openapi()["paths"]
    return {path.removeprefix(PREFIX): methods for path, methods in documented.items()}


def test_every_list_and_detail_of_the_api_is_read(paths) -> None:
    lists = {path for path, methods in paths.items() if "get" in methods}
    assert lists > DOWNLOADS
    read = routes(paths, FULL)
    assert {route.path for route in read} == lists - DOWNLOADS
    for route in read:
        assert "{" not in route.request(random.Random(0)).path
        parameters = paths[route.path]["get"].get("parameters", [])
        needed = {each["name"] for each in parameters if each["in"] == "query" and each["required"]}
        assert needed <= route.query.keys(), route.path


def test_what_the_stack_does_not_hold_is_not_read(paths) -> None:
    held = Content({name: [] for name in FULL.ids} | {"run": SOME}, [])
    read = {route.path for route in routes(paths, held)}
    assert {"/runs", "/runs/{run_id}", "/models"} <= read
    assert read.isdisjoint(
        {"/models/{model_id}", "/explorers/{artifact_id}", "/reports/paired", "/reports/results/data"}
    )


@pytest.mark.parametrize("clients", [5, 10, 50, 200])
def test_clients_of_every_kind_take_part(clients: int) -> None:
    kinds = share(clients)
    assert len(kinds) == clients
    assert set(kinds) == set(SHARES)


def test_a_load_without_errors_and_with_fast_reads_passes() -> None:
    lines, wrong = report(Load(WELL))
    assert wrong == []
    assert len(lines) == 1 + len(SHARES)
    assert lines[1].split() == ["read", "20", "0", "100", "190", "190"]


def test_slow_reads_fail() -> None:
    slow = [Sample("read", "/runs", 0.25)] * 2
    assert report(Load(WELL + slow))[1] == ["p95 of reads is 250 ms, not below 250 ms"]


def test_a_client_that_fails_is_counted_and_fails_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.load.clients.PAUSES", dict.fromkeys(SHARES, 0.01))

    def well(rng: random.Random, turn: int) -> str:
        return "well"

    def fails(rng: random.Random, turn: int) -> str:
        raise OSError("the server is gone")

    load = Load()
    load.run([*((kind, well) for kind in SHARES), ("read", fails)], 0.3)
    wrong = report(load)[1]
    failed = sum(bool(sample.error) for sample in load.samples)
    assert failed >= 5
    assert wrong == [f"{failed} × read: OSError: the server is gone"]


def test_a_kind_of_which_nothing_came_fails() -> None:
    assert report(Load(WELL[20:]))[1] == ["no read at all"]
