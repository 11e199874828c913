"""What cannot be started again does not end ``vise up``: it is tried again, and the rest goes on."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from backend.local import up
from backend.local.processes import Server, ServerError
from backend.local.restarts import Restarts

ERRORS = [
    ServerError("PostgreSQL did not start"),
    OSError(28, "No space left on device"),
    psycopg.OperationalError("the connection is closed"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_a_server_that_cannot_be_started(error: Exception, tmp_path: Path) -> None:
    ended = Server("postgresql://", 0, running=lambda: False, stop=lambda: None)
    well = Server("postgresql://again", 0, running=lambda: True, stop=lambda: None)
    errors, told = [error], []

    def start(_: Server) -> Server:
        if errors:
            raise errors.pop()
        return well

    server = up.Supervised("PostgreSQL", tmp_path / "log", ended, start)
    for expected in ("ended; starting it again", "could not be started; trying again"):
        assert not up._restart_servers([server], told.append)
        assert expected in told[-1]
        server.restarts.due_at = 0
    assert up._restart_servers([server], told.append)
    assert (server.server, server.restarts.due_at) == (well, None)


def test_a_process_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "api.log").write_text("the end of its log")
    process = up.Process("api", [sys.executable, "-c", ""], restarts=Restarts(failures=1))
    process.popen = subprocess.Popen(process.command)
    process.popen.wait(20)
    told: list[str] = []
    up._restart_dead([process], tmp_path, told.append)
    assert "api ended with 0; starting it again" in told[-1]
    assert "the end of its log" in told[-1]
    process.restarts.due_at = 0
    with monkeypatch.context() as patched:
        patched.setattr(
            up, "open_log", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        up._restart_dead([process], tmp_path, told.append)
    assert "api could not be started" in told[-1]
    process.restarts.due_at = 0
    up._restart_dead([process], tmp_path, told.append)
    assert (len(told), process.restarts.due_at, process.popen.wait(20)) == (2, None, 0)
