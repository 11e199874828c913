"""An ASGI app over a real socket, for tests; and our API as a process of its own."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def serving(app: ASGIApp, **options: object) -> Iterator[str]:
    """Serve ``app`` in a thread until the block ends; yield its address. ``options`` are those of uvicorn."""
    server = uvicorn.Server(uvicorn.Config(app, **{"port": 0, "log_config": None, **options}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def api_command(port: int) -> list[str]:
    """Return the command that starts the API on this port, with the settings of its environment."""
    return [sys.executable, "-m", "uvicorn", "backend.api.app:create_app", "--factory", "--port", str(port)]
