"""``vise up``: the whole system on one machine, with the same processes as in a cluster."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from backend.settings import Settings
from vise_client.errors import ClientError
from vise_client.login import LOCAL, write_private

from .processes import ServerError, open_log
from .restarts import Restarts
from .servers import Server, start_postgres, start_valkey

log = logging.getLogger("vise.up")
ADMIN = "admin@localhost"
START_SECONDS = 120.0
STOP_SECONDS, END_SECONDS = 30.0, 10.0


@dataclass
class Process:
    """One process of the stack, started again when it dies."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None
    restarts: Restarts = field(default_factory=Restarts)


@dataclass
class Supervised:
    """A server of the stack, started again when it dies; ``start`` starts it at the address of the last one."""

    name: str
    log: Path
    server: Server
    start: Callable[[Server], Server]
    restarts: Restarts = field(default_factory=Restarts)


def up(*, home: Path, port: int, api_port: int, browser: bool, tell: Callable[[str], None]) -> None:
    """Run the system until Ctrl-C or SIGTERM. Raises ClientError where the home or a port is in use."""
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as stack:
        stack.enter_context(_lock(home))
        _check_port(api_port, "--api-port")
        _check_port(port, "--port")
        tell("Starting PostgreSQL and Valkey …")
        postgres = start_postgres(home / "postgres")
        valkey = start_valkey(home / "valkey")
        servers = [
            Supervised(
                "PostgreSQL",
                home / "postgres" / "postgres.log",
                postgres,
                lambda _: start_postgres(home / "postgres"),
            ),
            Supervised("Valkey", home / "valkey" / "valkey.log", valkey, partial(_valkey_again, home)),
        ]
        stack.callback(_stop_servers, servers)
        settings = {
            "VISE_HOME": str(home),
            "VISE_DATABASE_URL": postgres.url,
            "VISE_BROKER_URL": valkey.url,
            "VISE_STORAGE_URL": f"file://{home / 'storage'}",
            "VISE_DATA_ROOT": str(home / "data"),
            "VISE_API_URL": f"http://127.0.0.1:{api_port}",
            "VISE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        (home / "data").mkdir(exist_ok=True)
        shutil.rmtree(home / "work", ignore_errors=True)
        os.environ.update(settings)
        code = _prepare_store(postgres.url, home, api_port)
        stack.callback((home / LOCAL).unlink, missing_ok=True)
        processes = _processes(port, api_port)
        (home / "logs").mkdir(exist_ok=True)
        stack.callback(_stop, processes)
        # The workers' imports of PyTorch would take the cores from what the first page needs.
        first = [process for process in processes if process.name in ("api", "ui")]
        for process in first:
            _start(process, home / "logs")
        _wait_until_up(first, home, port, api_port, stop)
        if not stop.is_set():
            for process in processes:
                if process not in first:
                    _start(process, home / "logs")
            url = f"http://127.0.0.1:{port}"
            tell(f"VisE Studio is up. Open  {url}/auth/login?code={code}")
            tell(
                f"The link signs you in once; `vise login-link` prints another. API: http://127.0.0.1:{api_port}/api/v1/docs  Stop: Ctrl-C"
            )
            if browser:
                _open_browser(f"{url}/auth/login?code={code}")
        while not stop.wait(0.3):
            if _restart_servers(servers, tell):
                # A home too long for a socket has it in a folder of chance: the processes learn of another one.
                url = servers[0].server.url
                if url != os.environ["VISE_DATABASE_URL"]:
                    os.environ["VISE_DATABASE_URL"] = url
                    _stop(processes)
                    for process in processes:
                        _start(process, home / "logs")
            _restart_dead(processes, home / "logs", tell)
        tell("Stopping; runs save their state and continue at the next start …")


def _processes(port: int, api_port: int) -> list[Process]:
    cores = os.cpu_count() or 1
    python = [sys.executable, "-m"]
    return [
        Process(
            "api",
            [
                *python,
                "uvicorn",
                "backend.api.app:create_app",
                "--factory",
                "--host",
                "127.0.0.1",
                "--port",
                str(api_port),
                "--log-level",
                "warning",
                # Which proxies may name a client's address is our own setting.
                "--no-proxy-headers",
            ],
            # The pages' server, which names the browsers' addresses.
            {"VISE_TRUSTED_PROXIES": "127.0.0.1"},
        ),
        Process("dispatch", [*python, "worker", "dispatch"]),
        Process(
            "worker",
            [*python, "worker", "run", "--queues", "cpu,gpu"],
            {"VISE_WORKER_NAME": "local-runs", "OMP_NUM_THREADS": str(cores)},
        ),
        Process(
            "predict",
            [*python, "worker", "run", "--queues", "predict"],
            {"VISE_WORKER_NAME": "local-predict", "OMP_NUM_THREADS": str(prediction_threads())},
        ),
        Process("ui", [*python, "frontend.serve", "--host", "127.0.0.1", "--port", str(port)]),
    ]


def prediction_threads() -> int:
    """Return the threads of the prediction worker's network: half of the cores; the others decode, serve and train."""
    return max(1, (os.cpu_count() or 1) // 2)


def _prepare_store(url: str, home: Path, api_port: int) -> str:
    """Migrate, create the local admin, and write a token for the command line; return a one-time code for the browser."""
    from backend.store.accounts import users
    from backend.store.database import connect, migrate, session_factory
    from vise_client.schemas.accounts import Role

    migrate(url)
    engine = connect(url, pool_size=1)
    with session_factory(engine).begin() as db:
        # Nobody knows a password: the link and the token are the only ways in.
        user = users.find_user(db, ADMIN) or users.create_user(db, ADMIN, None, Role.admin)
        db.flush()
        code, _ = users.issue_token(db, user, "login-code", lifetime=timedelta(hours=1))
        token, _ = users.issue_token(db, user, "session", lifetime=timedelta(days=30), name="vise up")
    engine.dispose()
    write_private(home / LOCAL, {"url": f"http://127.0.0.1:{api_port}", "token": token})
    return code


def _start(process: Process, logs: Path) -> None:
    with open_log(logs / f"{process.name}.log") as out:
        process.popen = subprocess.Popen(
            process.command,
            env=os.environ | process.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal is for `vise up` alone; it stops the others in order.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    process.restarts.started(time.monotonic())


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _restart_dead(processes: list[Process], logs: Path, tell: Callable[[str], None]) -> None:
    for process in processes:
        if process.popen is None or process.popen.poll() is None:
            continue
        now, restarts = time.monotonic(), process.restarts
        if restarts.ended(now):
            tell(
                f"{process.name} ended with {process.popen.returncode}; starting it again. {_tail(logs, process)}"
            )
        elif restarts.due(now):
            try:
                _start(process, logs)
            except OSError as error:  # a full disk, or no memory for another process
                restarts.postpone(now)
                tell(f"{process.name} could not be started ({error}); trying again")


def _stop_servers(servers: list[Supervised]) -> None:
    for supervised in servers:
        supervised.server.stop()


def _restart_servers(servers: list[Supervised], tell: Callable[[str], None]) -> bool:
    """Start servers again that died, at the same address, so that clients only reconnect; return whether one was.

    A server that cannot be started is tried again later: the other parts go on meanwhile.
    """
    restarted = False
    for supervised in servers:
        now, restarts = time.monotonic(), supervised.restarts
        if supervised.server.running():
            continue
        if restarts.ended(now):
            tell(f"{supervised.name} ended; starting it again. See {supervised.log}")
        elif restarts.due(now):
            supervised.server.stop()
            try:
                supervised.server = supervised.start(supervised.server)
            except (ServerError, OSError, psycopg.Error) as error:
                restarts.postpone(time.monotonic())
                tell(f"{supervised.name} could not be started; trying again. {error}")
            else:
                restarts.started(time.monotonic())
                restarted = True
    return restarted


def _valkey_again(home: Path, last: Server) -> Server:
    """Start Valkey with the port and password of the last one."""
    at = urlsplit(last.url)
    return start_valkey(home / "valkey", at.port, at.password)


def _wait_until_up(
    processes: list[Process], home: Path, port: int, api_port: int, stop: threading.Event
) -> None:
    addresses = [f"http://127.0.0.1:{api_port}/api/v1/health", f"http://127.0.0.1:{port}/_stcore/health"]
    until = time.monotonic() + START_SECONDS
    while addresses and not stop.wait(0.1):
        for process in processes:
            if process.popen is not None and process.popen.poll() is not None:
                raise ClientError(f"{process.name} did not start. {_tail(home / 'logs', process)}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(addresses[0], timeout=5).status_code == 200:
                addresses.pop(0)
        if time.monotonic() > until:
            raise ClientError(
                f"{addresses[0]} did not respond within {START_SECONDS:g} s; see {home / 'logs'}"
            )


def _stop(processes: list[Process]) -> None:
    """Stop the processes, workers first: they save the state of their runs, for which they need the database."""
    order = sorted(processes, key=lambda p: p.name not in ("worker", "predict"))
    for process in order:
        if process.popen is not None and process.popen.poll() is None:
            process.popen.terminate()
    # As long as a run may take to save its state, and the rest to end.
    until = time.monotonic() + max(STOP_SECONDS, Settings().cancel_grace_seconds + END_SECONDS)
    for process in order:
        if process.popen is None:
            continue
        try:
            process.popen.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in time and is killed", process.name)
            process.popen.kill()
            process.popen.wait()


def _tail(logs: Path, process: Process) -> str:
    text = (logs / f"{process.name}.log").read_text(errors="replace")
    return f"The end of {process.name}.log:\n" + "\n".join(text.splitlines()[-15:])


def _check_port(port: int, flag: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ClientError(f"port {port} is in use; choose another with {flag}") from error


@contextlib.contextmanager
def _lock(home: Path) -> Iterator[None]:
    with (home / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ClientError(
                f"`vise up` is running already with {home}; stop that one, or name another --home"
            ) from error
        yield


def _open_browser(url: str) -> None:
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        import webbrowser

        webbrowser.open(url)
