"""Every page has a script, and all that it imports exists: mypy takes a missing module of ours for a foreign one."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import frontend
from frontend.navigation import PAGES

FOLDER = Path(frontend.__file__).parent


@pytest.mark.parametrize("name", PAGES)
def test_the_parts_of_a_page_can_be_imported(name: str) -> None:
    # Streamlit runs page.py as a script; importing it would draw the page.
    script = ast.parse((FOLDER / PAGES[name].view).read_text(encoding="utf-8"))
    for node in ast.walk(script):
        if isinstance(node, ast.ImportFrom):
            module = import_module(node.module or "")
            for imported in node.names:
                assert hasattr(module, imported.name), f"{node.module}.{imported.name}"
