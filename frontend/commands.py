"""The command of the pages: ``vise ui``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def ui(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines too.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
) -> None:
    """Serve the pages in the browser, until stopped."""
    command = [sys.executable, "-m", "frontend.serve", "--host", host, "--port", str(port)]
    os.execv(sys.executable, command)
