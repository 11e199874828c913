"""A stage that another package adds in two files: API, worker, command line and pages know it like our own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from backend.local.processes import free_port
from backend.store.accounts import users
from tests.commands import run_vise
from tests.serving import api_command
from vise_client.schemas.accounts import Role
from vise_core.specs.stages import STAGES, register

OUTSIDE = Path(__file__).parent / "outside"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The package is installed: in this process, and by this environment in others."""
    monkeypatch.syspath_prepend(OUTSIDE)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # AppTest replaces it
    (noise,) = (point for point in entry_points(group="vise.stages") if point.name == "noise")
    register(noise.load())
    yield {"PYTHONPATH": os.pathsep.join([str(OUTSIDE), os.environ.get("PYTHONPATH", "")])}
    del STAGES["noise"]


@pytest.fixture
def api(cluster, installed, tmp_path) -> Iterator[httpx.Client]:
    """The API beside a dispatcher and a worker, each a process in whose environment the package is installed."""
    cluster.environment |= installed | {"NOISE_VALIDATIONS": str(tmp_path / "validations")}
    with cluster.sessions.begin() as db:
        editor = users.create_user(db, "outside@example.org", None, Role.editor)
        token, _ = users.issue_token(db, editor, "api", lifetime=None)
    port = free_port()
    cluster.processes.append(subprocess.Popen(api_command(port), env=cluster.environment))
    cluster.start("dispatch", name="dispatch")
    cluster.worker("first")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        for _ in range(600):
            try:
                client.get("/health")
                break
            except httpx.ConnectError:
                time.sleep(0.2)
        yield client


def test_it_is_listed_checked_estimated_launched_and_shown(api, cluster, tmp_path) -> None:
    (stage,) = (stage for stage in api.get("/stages").json() if stage["name"] == "noise")
    assert stage["title"] == "Noise"
    assert stage["spec_schema"]["properties"]["count"]["default"] == 100
    assert stage["presets"] == {"A few": {"count": 3}}

    def check(**spec: object) -> dict:
        return api.post("/stages/noise/validate", json={"spec": spec}).json()

    assert [problem["field"] for problem in check(count=0)["problems"]] == ["spec.count"]
    assert [problem["field"] for problem in check(from_file=True)["problems"]] == ["inputs.mean"]
    assert check(count=5)["estimate"]["work"] == "5 numbers"

    validations = tmp_path / "validations"
    validations.write_text("")
    body = {"stage": "noise", "spec": {"count": 5, "mean": 2.0}}
    launched = api.post("/runs", json=body)
    assert launched.status_code == 201, launched.text
    run = cluster.wait_final(launched.json()["id"], seconds=300)
    assert run.state == "succeeded", (run.reason, run.error)
    processes = validations.read_text().split()
    assert len(processes) == len(set(processes)) == 2, (
        "the spec is validated once by the API and once by the run"
    )
    assert run.result is not None
    assert run.headline == {"average": run.result["average"]}
    assert [artifact.name for artifact in run.artifacts] == ["numbers"]
    assert len(cluster.points(run.id)) == 5
    past = check(count=10)["estimate"]["time"]
    assert [time["runs"] for time in past] == [[str(run.id)]], "its run tells how long the next one takes"
    assert api.get("/runs", params={"query": "stage = noise and spec.count = 5"}).json()["items"]

    page = AppTest.from_function(_result, args=(run,), default_timeout=60).run()
    assert not page.exception
    assert {metric.label: metric.value for metric in page.metric}["drawn"] == "5"
    assert page.metric[0].help == "Numbers that were drawn."


def _result(run) -> None:
    from frontend.views.run.result import run_result

    run_result(run)


def test_the_command_line_runs_it(installed, tmp_path) -> None:
    command = ["run", "noise", "--local", "--set", "count=4", "--out", str(tmp_path / "out")]
    run_vise(*command, environment=os.environ | installed).check_returncode()
    assert len((tmp_path / "out" / "artifacts" / "numbers.txt").read_text().splitlines()) == 4


def test_two_stages_of_one_name_are_rejected(installed) -> None:
    with pytest.raises(ValueError, match="two stages 'noise': noise:run and noise:run"):
        register(STAGES["noise"])
