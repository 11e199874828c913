"""A stage that another package adds in two files: API, worker, command line and pages know it like our own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from streamlit.testing.v1 import AppTest

from backend.api.app import create_app
from backend.api.runs.stages import _stages
from backend.settings import Settings
from backend.store.accounts import users
from vise_client.schemas.accounts import Role
from vise_client.schemas.runs import RunView
from vise_core.specs.stages import STAGES, register

OUTSIDE = Path(__file__).parent / "outside"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The package is installed: here, and by this environment in other processes."""
    monkeypatch.syspath_prepend(OUTSIDE)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # AppTest replaces it
    (noise,) = (point for point in entry_points(group="vise.stages") if point.name == "noise")
    _stages.cache_clear()
    register(noise.load())
    yield {"PYTHONPATH": os.pathsep.join([str(OUTSIDE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])}
    del STAGES["noise"]
    _stages.cache_clear()


@pytest.fixture
def api(cluster, installed, database_url, broker_url, tmp_path) -> Iterator[TestClient]:
    """The API beside a dispatcher and a worker that have the package too."""
    cluster.environment.update(installed)
    cluster.start("dispatch", name="dispatch")
    cluster.worker("first")
    with cluster.sessions.begin() as db:
        editor = users.create_user(db, "editor@example.org", None, Role.editor)
        token, _ = users.issue_token(db, editor, "api", lifetime=None)
    settings = Settings(
        database_url=database_url, broker_url=broker_url, storage_url=cluster.storage.url, home=tmp_path
    )
    with TestClient(create_app(settings)) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_it_is_listed_checked_estimated_launched_and_shown(api, cluster) -> None:
    (stage,) = (stage for stage in api.get("/api/v1/stages").json() if stage["name"] == "noise")
    assert stage["title"] == "Noise"
    assert stage["spec_schema"]["properties"]["count"]["default"] == 100
    assert stage["presets"] == {"A few": {"count": 3}}

    def check(**spec: object) -> dict:
        return api.post("/api/v1/stages/noise/validate", json={"spec": spec}).json()

    assert [problem["field"] for problem in check(count=0)["problems"]] == ["spec.count"]
    assert [problem["field"] for problem in check(from_file=True)["problems"]] == ["inputs.mean"]
    assert check(count=5)["estimate"]["work"] == "5 numbers"

    body = {"stage": "noise", "spec": {"count": 5, "mean": 2.0}}
    launched = api.post("/api/v1/runs", json=body)
    assert launched.status_code == 201, launched.text
    run = cluster.wait_final(launched.json()["id"])
    assert run.state == "succeeded", (run.reason, run.error)
    assert run.result is not None
    assert run.headline == {"average": run.result["average"]}
    assert [artifact.name for artifact in run.artifacts] == ["numbers"]
    assert len(cluster.points(run.id)) == 5
    past = check(count=10)["estimate"]["time"]
    assert [time["runs"] for time in past] == [[str(run.id)]], "its run tells how long the next one takes"
    assert api.get("/api/v1/runs", params={"query": "stage = noise and spec.count = 5"}).json()["items"]

    page = AppTest.from_function(_result, args=(run,)).run()
    assert not page.exception
    assert {metric.label: metric.value for metric in page.metric}["drawn"] == "5"
    assert page.metric[0].help == "Numbers that were drawn."


def _result(run: RunView) -> None:
    from frontend.views.run.result import run_result

    run_result(run)


def test_the_command_line_runs_it(installed, tmp_path) -> None:
    command = ["run", "noise", "--local", "--set", "count=4", "--out", str(tmp_path / "out")]
    subprocess.run(
        [sys.executable, "-c", "from vise_client.cli import main; main()", *command],
        env=os.environ | installed,
        check=True,
    )
    assert len((tmp_path / "out" / "numbers.txt").read_text().splitlines()) == 4


def test_two_stages_of_one_name_are_rejected(installed) -> None:
    with pytest.raises(ValueError, match="two stages 'noise': noise:run and noise:run"):
        register(STAGES["noise"])
