"""docs/client.md: every example of the page, run in order against a server over a real socket."""

import re
import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.api.app import create_app
from backend.settings import Settings
from tests.serving import serving
from vise_client.cli import app
from vise_client.schemas.accounts import Role

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def server(
    settings: Settings, tokens: dict[Role, str], work_off: Callable, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A server that the environment names, whose runs are executed in this process."""
    monkeypatch.setenv("VISE_TOKEN", tokens[Role.editor])
    stopped = threading.Event()

    def work() -> None:
        while not stopped.wait(0.2):
            work_off(settings)

    working = threading.Thread(target=work, daemon=True)
    working.start()
    with serving(create_app(settings)) as url:
        monkeypatch.setenv("VISE_API_URL", url)
        yield
        stopped.set()
        working.join(60)


def test_every_example_of_the_page(
    server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = []
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(example, "docs/client.md", "exec"), {})
        printed.append(capsys.readouterr().out)
    waited, listed, artifacts, awaited, error = printed
    assert waited.startswith("succeeded {")
    assert "Sample posts succeeded" in listed
    assert "posts" in artifacts
    assert (tmp_path / "artifact.tar").stat().st_size
    assert "stages, 0 workers\nSample posts\n" in awaited
    assert error.startswith("404 ")
    (file,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "sample-data-check.yaml").write_text(file)
    assert len(COMMANDS) == 6
    for command in COMMANDS:
        done = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
        assert done.exit_code == 0, f"{command}: {done.output}"
        assert done.output
