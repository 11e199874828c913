"""No text of a user reaches a terminal as it is: neither control characters nor rich's markup."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from backend.store.database import connect
from vise_client.cli import app
from vise_client.client import ViseClient
from vise_client.schemas.launch import RunCreate

ROOT = Path(__file__).parents[3]
PACKAGES = ("vise_client", "backend", "worker", "frontend")
OUTPUT = "vise_client/commands/output.py"
PRINTERS = {"print", "echo", "secho", "echo_via_pager"}
QUESTIONS = {"confirm", "prompt"}
HOSTILE = "[/bold]\x1b[2J\x1b]0;title\x07\u202ename"


@pytest.mark.parametrize("command", ["runs", "show", "logs"])
def test_a_hostile_name_is_printed_escaped(vise: ViseClient, database_url: str, command: str) -> None:
    spec = {"source": {"kind": "sample"}}
    run = vise.create_run(RunCreate(stage="ingest", spec=spec, name="a name"))
    engine = connect(database_url)
    with engine.begin() as db:
        # As older rows may be: the API refuses none of these characters.
        db.execute(text("UPDATE runs SET name = :name"), {"name": HOSTILE})
        db.execute(
            text("INSERT INTO run_logs (run_id, level, message) VALUES (:id, 'info', :name)"),
            {"id": run.id, "name": HOSTILE},
        )
    engine.dispose()
    done = CliRunner().invoke(app, [command] if command == "runs" else [command, str(run.id)])
    assert done.exit_code == 0, done.output
    printed = "".join(done.output.split())
    assert "[/bold]" in printed
    assert not set("\x1b\x07\u202e") & set(done.output)


def test_only_one_module_prints() -> None:
    """All others call ``say`` or ``show_table`` there; a question is escaped where it holds more than our own words."""
    printing = []
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if name != OUTPUT and _prints(node):
                printing.append(f"{name}:{node.lineno}")  # type: ignore[attr-defined]
    assert printing == []


@pytest.mark.parametrize(
    ("code", "prints"),
    [
        ("print(name)", True),
        ("typer.echo(name)", True),
        ("run(tell=typer.echo)", True),
        ("typer.confirm(f'Delete {name}?')", True),
        ("typer.confirm('Delete?')", False),
        ("typer.confirm(terminal_escape(f'Delete {name}?'))", False),
        ("say(name)", False),
        ("console.print(name)", False),
    ],
)
def test_what_counts_as_printing(code: str, prints: bool) -> None:
    assert any(map(_prints, ast.walk(ast.parse(code)))) == prints


def _prints(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):  # also where it is handed on, as in ``tell=typer.echo``
        return (
            node.attr in PRINTERS and isinstance(node.value, ast.Name) and node.value.id in ("typer", "click")
        )
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id in PRINTERS
    if isinstance(node.func, ast.Attribute) and node.func.attr in QUESTIONS and node.args:
        text = node.args[0]
        escaped = isinstance(text, ast.Call) and ast.unparse(text.func) == "terminal_escape"
        return not (escaped or isinstance(text, ast.Constant))
    return False
