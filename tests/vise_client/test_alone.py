"""The client needs no other package of the project, and stays light."""

import subprocess
import sys

ALONE = """
import sys
for package in ("backend", "worker", "frontend", "torch", "torchvision", "sqlalchemy", "streamlit"):
    sys.modules[package] = None  # An import of it fails.
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_of_the_client_can_be_imported_without_the_other_packages() -> None:
    """Aside from `vise_client.local`, which runs stages in this process."""
    code = """
import importlib, pkgutil, vise_client
for module in pkgutil.walk_packages(vise_client.__path__, "vise_client."):
    if not module.name.startswith("vise_client.local"):
        importlib.import_module(module.name)
heavy = {"numpy", "PIL", "sklearn", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
"""
    run(ALONE + code)


def test_help_imports_little() -> None:
    code = """
import sys
sys.argv = ["vise", "--help"]
from vise_client.cli import main
try:
    main()
except SystemExit:
    pass
slow = {"pydantic", "httpx", "numpy", "torch", "sqlalchemy", "celery", "streamlit"} & set(sys.modules)
assert not slow, slow
"""
    assert "Commands" in run(code)
