"""``vise data`` on a real API; whatever it waits for is worked off in this process."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from typer.testing import CliRunner

from backend.api.app import PREFIX
from vise_client import login
from vise_client.cli import app
from vise_client.client import ViseClient


@pytest.fixture
def vise(api, tokens, settings, work_off, monkeypatch: pytest.MonkeyPatch):
    """Runs a command; returns (exit code, what it said)."""
    client = ViseClient("http://testserver")
    headers = {"Authorization": f"Bearer {tokens['admin']}"}
    http = TestClient(api.app, base_url=f"http://testserver{PREFIX}", headers=headers)
    monkeypatch.setattr(client, "_http", http)
    waiting = client.wait_for

    def wait_for(run_id, **options):
        work_off(settings)
        return waiting(run_id, timeout=60)

    monkeypatch.setattr(client, "wait_for", wait_for)
    monkeypatch.setattr(login, "connect", lambda: nullcontext(client))

    def run(*arguments: str, says: str = "") -> tuple[int, str]:
        command = arguments if arguments[0] == "run" else ("data", *arguments)
        done = CliRunner().invoke(app, command, input=says)
        return done.exit_code, done.output + (str(done.exception) if done.exception else "")

    return run


@pytest.fixture
def folder(settings) -> Path:
    made = settings.data_root / "faces"
    for label in ("joy", "fear"):
        (made / label).mkdir(parents=True)
        Image.new("RGB", (40, 40), (200, 90, 10)).save(made / label / "1.png")
    return made


def test_a_folder_is_added_changed_and_rescanned(vise, folder: Path) -> None:
    code, said = vise("add", "faces", "--description", "Of May.")
    assert code == 0, said
    assert "version 1: 2 files, 2 images, 2 classes" in said
    assert "The folder has not changed since version 1." in said
    assert "Nothing has changed since version 1." in vise("rescan", "faces")[1]
    Image.new("RGB", (40, 40), (20, 90, 10)).save(folder / "joy" / "2.png")
    changed = "The folder has changed since version 1: 1 file added, 0 changed, 0 removed. Rescan it."
    assert changed in vise("show", "faces")[1]
    dataset = vise("show", "faces")[1].split()[0]
    run = ("run", "survey", "--input", f"dataset=dataset:{dataset}")
    code, said = vise(*run)
    assert (code, f"warning: dataset: {changed}" in said) == (0, True), said
    code, said = vise("rescan", "faces")
    assert (code, "version 2: 3 files" in said) == (0, True), said
    assert "warning" not in vise(*run)[1]
    rows = [line.split() for line in vise("show", "faces")[1].splitlines()[-2:]]
    assert [(row[0], row[3]) for row in rows] == [("2", "3"), ("1", "2")]
    assert "faces" in vise("list")[1]


def test_it_is_renamed_and_removed_with_the_list_of_its_runs_first(vise, folder: Path) -> None:
    vise("add", "faces", "--name", "five faces")
    assert vise("update", "five faces", "--name", "faces", "--description", "Of June.") == (
        0,
        "faces  Of June.\n",
    )
    assert "version" in vise("runs", "faces")[1]
    code, said = vise("remove", "faces", says="n\n")
    assert (code, "kept          1 registered folder" in said) == (0, True), said
    code, said = vise("remove", "faces")
    assert (code, "add --yes" in said) == (1, True)
    assert "faces" in vise("list")[1]
    assert vise("remove", "faces", "--yes")[0] == 0
    code, said = vise("show", "faces")
    assert (code, "no data set named 'faces'" in said) == (1, True)
