"""``vise models`` as it is called from a shell: without a server, and against a real one with a worker."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
import torch
import torchvision

from backend.local.processes import free_port
from backend.store.accounts import users
from backend.store.database import connect, session_factory
from tests.commands import run_vise, stop_processes
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from vise_core.formats.checkpoint import read_checkpoint_card
from vise_core.models.checkpoint_formats import CHECKPOINT_FORMATS

Vise = Callable[..., subprocess.CompletedProcess[str]]


def shell(environment: dict[str, str]) -> Vise:
    return partial(run_vise, "models", environment=environment)


@pytest.fixture
def lonely(tmp_path: Path) -> Vise:
    """Where no server is known."""
    known = {k: v for k, v in os.environ.items() if not k.startswith("VISE_")}
    return shell(
        known | {"NO_COLOR": "1", "VISE_HOME": str(tmp_path / "none"), "XDG_CONFIG_HOME": str(tmp_path)}
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "r18.pth")
    return tmp_path / "r18.pth"


def test_formats_lists_every_format_with_row_and_licence(lonely: Vise) -> None:
    shown = lonely("formats")
    assert shown.returncode == 0, shown.stderr
    for name, layout in CHECKPOINT_FORMATS.items():
        assert name in shown.stdout
        assert all(row in shown.stdout for row in layout.rows)
        assert layout.licence in shown.stdout, name


def test_a_file_is_converted_without_a_server(lonely: Vise, file: Path, tmp_path: Path) -> None:
    shown = lonely("add", file, "--local", "--output", tmp_path / "made" / "checkpoint", "--format", "in-sup")
    assert shown.returncode == 0, shown.stderr
    assert "r18.pth: torchvision's supervised ImageNet weights" in shown.stdout
    assert "left out: fc.weight: ImageNet classifier" in shown.stdout
    assert "not verified" in shown.stdout
    card = read_checkpoint_card(tmp_path / "made" / "checkpoint")
    assert card.source is not None
    assert card.source.row == "IN-Sup"
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["checkpoint"]
    again = lonely("add", file, "--format", "in-sup", "--local", "--output", tmp_path / "made" / "checkpoint")
    assert (again.returncode, "exists" in again.stderr) == (1, True)


def test_where_the_keys_do_not_tell_the_origin_is_asked_for(lonely: Vise, file: Path, tmp_path: Path) -> None:
    shown = lonely("add", file, "--local", "--output", tmp_path / "made")
    assert shown.returncode == 1
    said = " ".join(shown.stderr.split())
    assert "If it is one of these, say so: --format in-sup" in said
    assert "--row with a name of your own" in said
    assert lonely("add", file, "--format", "dino", "--local", "--output", tmp_path / "made").returncode != 0
    shown = lonely("add", file, "--row", "my ResNet", "--local", "--output", tmp_path / "made")
    assert shown.returncode == 0, shown.stderr
    assert "row: my ResNet; backbone: resnet18" in shown.stdout
    assert "licence: not stated" in shown.stdout


def test_a_file_that_is_none_is_one_sentence(lonely: Vise, tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    shown = lonely("add", tmp_path / "text.pth", "--local", "--output", tmp_path / "made")
    assert shown.returncode == 1
    assert "text.pth: it is a text file that begins with 'hello', not weights" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert not (tmp_path / "made").exists()
    assert lonely("add", tmp_path / "text.pth", "--local").returncode == 2


def test_without_a_server_it_says_how_to_get_one(lonely: Vise, file: Path) -> None:
    for arguments in ((), ("add", file)):
        shown = lonely(*arguments)
        assert (shown.returncode, "vise up" in shown.stderr) == (1, True)


@pytest.fixture
def served(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An API, a dispatcher and a worker; the environment of a shell that an admin is signed in with."""
    engine = connect(database_url)
    with session_factory(engine).begin() as db:
        admin = users.create_user(db, "admin@example.org", "correct horse battery", Role.admin)
        token, _ = users.issue_token(db, admin, "api", lifetime=timedelta(hours=1))
    engine.dispose()
    (tmp_path / "data").mkdir()
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VISE_")} | {
        "VISE_DATABASE_URL": database_url,
        "VISE_BROKER_URL": broker_url,
        "VISE_STORAGE_URL": f"file://{tmp_path / 'storage'}",
        "VISE_HOME": str(tmp_path),
        "VISE_DATA_ROOT": str(tmp_path / "data"),
        "VISE_API_URL": f"http://127.0.0.1:{port}",
        "VISE_TOKEN": token,
        "NO_COLOR": "1",
    }
    commands = (
        ("uvicorn", "backend.api.app:create_app", "--factory", "--port", str(port), "--log-level", "warning"),
        ("worker", "dispatch"),
        ("worker", "run", "--queues", "cpu"),
    )
    processes = [subprocess.Popen([sys.executable, "-m", *command], env=environment) for command in commands]
    try:
        _wait_until_up(environment["VISE_API_URL"])
        yield environment
    finally:
        stop_processes(processes)


def _wait_until_up(url: str) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/api/v1/health").json()["workers"]:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("the API did not come up with a worker")


def test_a_server_takes_a_file_in(served: dict[str, str], file: Path, tmp_path: Path) -> None:
    vise = shell(served)
    shown = vise("add", file, "--row", "IN-Sup")
    assert shown.returncode == 0, shown.stderr
    assert "row: IN-Sup; backbone: resnet18, 11,176,512 weights" in shown.stdout
    with ViseClient(served["VISE_API_URL"], served["VISE_TOKEN"]) as client:
        (run,) = client.runs(stage="import").items
        assert (run.state, run.name) == ("succeeded", "Import r18.pth")
        (artifact,) = client.run(run.id).artifacts
        assert artifact.name == "checkpoint"
        assert f"checkpoint={run.id}:checkpoint" in shown.stdout
        (dataset,) = client.datasets()
        assert dataset.folder == "weights"
    assert (tmp_path / "data/weights/r18.pth").exists()

    # The same again by its place below the data root; then one that is no such file.
    assert vise("add", "weights/r18.pth", "--row", "again").returncode == 0
    shutil.copy(file, tmp_path / "data/weights/resnet18-f37072fd.pth")
    refused = vise("add", "weights/resnet18-f37072fd.pth")
    assert refused.returncode == 1
    assert "named like the published file, but its SHA-256 is" in refused.stderr
    copied = vise("add", file)
    assert (copied.returncode, "exists" in copied.stderr) == (1, True)
    shell_elsewhere = shell({k: v for k, v in served.items() if k != "VISE_DATA_ROOT"})
    elsewhere = shell_elsewhere("add", file)
    assert (elsewhere.returncode, "below its data root" in elsewhere.stderr) == (1, True)
    assert shell_elsewhere("add", "weights/r18.pth", "--format", "in-sup").returncode == 0
    assert vise().returncode == 0
