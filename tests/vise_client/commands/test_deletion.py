"""``vise delete``: what depends on a run is printed, then the command asks."""

import pytest
from typer.testing import CliRunner

from vise_client.cli import app
from vise_client.client import ViseClient
from vise_client.errors import ApiError, ClientError
from vise_client.schemas.launch import RunCreate


@pytest.fixture
def run_id(vise: ViseClient) -> str:
    spec = {"source": {"kind": "sample"}}
    run = vise.create_run(RunCreate(stage="ingest", spec=spec, name="first"))
    vise.cancel(run.id)
    return str(run.id)


@pytest.mark.parametrize(("says", "code"), [("n\n", 0), ("", 1)])
def test_without_a_yes_nothing_is_deleted(vise: ViseClient, run_id: str, says: str, code: int) -> None:
    done = CliRunner().invoke(app, ["delete", run_id], input=says)
    assert done.exit_code == code, done.output
    assert "deleted       1 log" in done.output
    assert "Delete the run first?" in done.output
    if code:
        assert isinstance(done.exception, ClientError)
        assert str(done.exception) == "nothing was deleted: answer the question with y, or add --yes"
    assert vise.run(run_id).name == "first"


@pytest.mark.parametrize(("options", "says"), [([], "y\n"), (["--yes"], "")])
def test_a_run_is_deleted(vise: ViseClient, run_id: str, options: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["delete", run_id, *options], input=says)
    assert done.exit_code == 0, (done.output, done.exception)
    with pytest.raises(ApiError, match="no run"):
        vise.run(run_id)


def test_what_is_in_the_way_is_named(vise: ViseClient) -> None:
    first = RunCreate(stage="ingest", spec={"source": {"kind": "sample"}}, name="first")
    run_id = str(vise.create_run(first).id)
    inputs = {"posts": {"run": run_id, "artifact": "posts"}}
    vise.create_run(RunCreate.model_validate({"stage": "cluster", "name": "second", "inputs": inputs}))
    vise.cancel(run_id)
    done = CliRunner().invoke(app, ["delete", run_id, "--yes"])
    assert "delete first  1 run" in done.output
    assert "second" in done.output
    assert "delete the things marked" in str(done.exception)
    assert vise.run(run_id).name == "first"
