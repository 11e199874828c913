"""Which commands `vise` offers: its own, those of other packages, and how to get the ones that are not installed."""

import sys
import tomllib
from importlib.metadata import EntryPoint, packages_distributions
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from typer.testing import CliRunner

from vise_client.cli import app, main
from vise_client.commands import extras, plugins
from vise_client.errors import MissingExtra

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base package alone: none of the extras."""
    monkeypatch.setattr(extras, "find_spec", lambda module: None)


def test_every_command_of_the_server_is_registered_by_the_package_that_has_it() -> None:
    registered = PROJECT["entry-points"][plugins.GROUP]
    assert set(registered) == set(plugins.SERVER_COMMANDS)
    for name, target in registered.items():
        loaded = EntryPoint(name, target, plugins.GROUP).load()
        assert loaded.__module__ == target.partition(":")[0] or isinstance(loaded, typer.Typer)


@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_an_extra_is_recognised_by_modules_that_it_brings(extra: str) -> None:
    brought, pending = set(), [f"vise-studio[{extra}]"]
    while pending:
        requirement = Requirement(pending.pop())
        brought.add(requirement.name.lower())
        if requirement.name == "vise-studio":
            for name in requirement.extras:
                pending += PROJECT["optional-dependencies"][name]
    distributions = packages_distributions()
    for module in extras.EXTRAS[extra]:
        assert {name.lower() for name in distributions[module]} & brought, module


def test_help_lists_commands_of_every_package() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    for name in ("run", "data", *plugins.SERVER_COMMANDS):
        assert f" {name} " in shown
    assert "Run queued runs, or compute predictions" in shown
    assert "--concurrency" in CliRunner().invoke(app, ["worker", "--help"]).output
    assert "--email" in CliRunner().invoke(app, ["admin", "create", "--help"]).output


@pytest.mark.parametrize(("command", "extra"), plugins.SERVER_COMMANDS.items())
def test_a_command_that_is_not_installed_says_how_to_get_it(
    command: str,
    extra: str,
    nothing_installed: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["vise", command, "--queues", "gpu", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    need = f"vise: vise {command} needs vise-studio[{extra}]: pip install 'vise-studio[{extra}]'\n"
    assert capsys.readouterr().err == need
    assert f"needs the extra '{extra}'" in CliRunner().invoke(app, ["--help"]).output


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["sample-data", "--out", "x"], "core"),
        (["ingest-peek", "."], "core"),
        (["tasks", "verify", "folder", "."], "core"),
        (["models", "formats"], "core"),
        (["models", "add", "x.pt", "--local", "--output", "y"], "core"),
        (["run", "ingest", "--local"], "core"),
        (["predict", "--predictor", ".", "pyproject.toml"], "core"),
        (["report", "--local", "."], "report"),
    ],
)
def test_a_local_command_says_what_it_needs(
    arguments: list[str], extra: str, nothing_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, MissingExtra), done.output
    assert f"vise-studio[{extra}]" in str(done.exception)


def test_a_package_can_register_a_command_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("there", f"{plugins.__name__}:is_installed", plugins.GROUP)
    monkeypatch.setattr(plugins, "_registered", lambda: {"there": entry})
    assert " there " in CliRunner().invoke(app, ["--help"]).output
    done = CliRunner().invoke(app, ["there", "core"])
    assert done.exit_code == 0, done.output
    assert "No such command" in CliRunner().invoke(app, ["nowhere"]).output
