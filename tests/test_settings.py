"""Settings are read in one way, and their page is current."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

from docs import settings

ROOT = Path(__file__).parents[1]
PACKAGES = ("vise_core", "vise_client", "backend", "worker", "frontend", "alembic")
MAY_READ = {
    "vise_core/training/distributed.py",  # torchrun's RANK, WORLD_SIZE, LOCAL_RANK
    "backend/local/up.py",  # whether there is a display
}


def reads_environment(node: ast.AST) -> bool:
    """Whether a node reads a variable: ``environ.get``, ``environ[...]``, ``in environ``, ``getenv``."""
    match node:
        case ast.Attribute(value=ast.Attribute(attr="environ"), attr="get"):
            return True
        case ast.Subscript(value=ast.Attribute(attr="environ"), ctx=ast.Load()):
            return True
        case ast.Compare(comparators=[ast.Attribute(attr="environ")]):
            return True
        case ast.Attribute(attr="getenv"):
            return True
    return False


def test_no_module_reads_the_environment_itself() -> None:
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = {name for name in listed.stdout.split() if name.endswith(".py")} - MAY_READ
    readers = [
        name for name in files if any(map(reads_environment, ast.walk(ast.parse((ROOT / name).read_text()))))
    ]
    assert readers == []


def test_the_page_of_settings_is_current() -> None:
    assert settings.PAGE.read_text() == settings.page(), "run: python -m docs.settings"
