"""The servers of a fresh VisE Studio for a benchmark: PostgreSQL, Valkey, the API and the pages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from backend.local.processes import free_port
from backend.local.servers import start_postgres, start_valkey
from backend.store.accounts import users
from backend.store.database import connect, migrate, session_factory
from vise_client.schemas.accounts import Role


@contextmanager
def running(folder: Path, *, pages: bool = True) -> Iterator[dict[str, str]]:
    """Run the store, the API and the pages as ``vise up`` does, without workers.

    Yields {database, broker, storage, api, page, token, pid}; ``pid`` is that of the API's process.
    """
    postgres = start_postgres(folder / "postgres")
    valkey = start_valkey(folder / "valkey")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        migrate(postgres.url)
        token = issue_token(postgres.url)
        api, page = free_port(), free_port()
        storage = f"file://{folder / 'storage'}"
        environment = os.environ | {
            "VISE_DATABASE_URL": postgres.url,
            "VISE_BROKER_URL": valkey.url,
            "VISE_HOME": str(folder),
            "VISE_STORAGE_URL": storage,
            "VISE_API_URL": f"http://127.0.0.1:{api}",
        }
        application = [sys.executable, "-m", "uvicorn", "backend.api.app:create_app", "--factory"]
        servers = {
            f"http://127.0.0.1:{api}/api/v1/health": [
                *application,
                "--port",
                str(api),
                "--log-level",
                "warning",
            ]
        }
        if pages:
            command = [sys.executable, "-m", "frontend.serve", "--port", str(page)]
            servers[f"http://127.0.0.1:{page}/_stcore/health"] = command
        # In sessions of their own, as `vise up` starts them.
        processes += [
            subprocess.Popen(command, env=environment, start_new_session=True) for command in servers.values()
        ]
        for address, process in zip(servers, processes, strict=True):
            wait_for(address, process)
        yield {
            "database": postgres.url,
            "broker": valkey.url,
            "storage": storage,
            "api": f"http://127.0.0.1:{api}",
            "page": f"http://127.0.0.1:{page}",
            "token": token,
            "pid": str(processes[0].pid),
        }
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        postgres.stop()
        valkey.stop()


@contextmanager
def workers(servers: dict[str, str], folder: Path, *commands: Sequence[str], threads: int) -> Iterator[None]:
    """Run ``python -m worker`` with each command over these servers; their log is ``workers.log`` in ``folder``."""
    environment = os.environ | {
        "VISE_DATABASE_URL": servers["database"],
        "VISE_BROKER_URL": servers["broker"],
        "VISE_STORAGE_URL": servers["storage"],
        "VISE_HOME": str(folder),
        "OMP_NUM_THREADS": str(threads),
    }
    processes: list[subprocess.Popen[bytes]] = []
    with (folder / "workers.log").open("wb") as log:
        for command in commands:
            worker = [sys.executable, "-m", "worker", *command]
            processes.append(
                # In sessions of their own, as `vise up` starts them.
                subprocess.Popen(worker, env=environment, stdout=log, stderr=log, start_new_session=True)
            )
    try:
        yield
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(60)


def issue_token(url: str) -> str:
    """Create an admin and return an API token of it."""
    engine = connect(url)
    with session_factory(engine).begin() as db:
        admin = users.create_user(db, "admin@localhost", None, Role.admin)
        token, _ = users.issue_token(db, admin, "api", lifetime=timedelta(days=1))
    engine.dispose()
    return token


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process responds at ``address``. Raises RuntimeError where it ends before, or after 10 minutes."""
    until = time.monotonic() + 600
    while True:
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{address} does not answer; {process.args} ended with {process.poll()}")
        time.sleep(0.2)
