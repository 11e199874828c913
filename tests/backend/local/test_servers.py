"""The embedded servers start, keep their data, listen on this machine only, and recover from being killed."""

import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from backend.local.processes import open_log
from backend.local.servers import Server, ServerError, start_postgres, start_valkey


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="vise-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def query(server: Server, statement: str) -> list[tuple]:
    plain = server.url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def listening_addresses(pid: int) -> set[str]:
    return {c.laddr.ip for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN}


def test_postgres_keeps_its_data_over_a_clean_stop_and_over_a_kill(folder: Path) -> None:
    first = start_postgres(folder / "pg")
    query(first, "create table kept (n int)")
    query(first, "insert into kept values (1)")
    first.stop()
    first.stop()  # a second time does no harm
    assert not psutil.pid_exists(first.pid)

    second = start_postgres(folder / "pg")
    query(second, "insert into kept values (2)")
    os.kill(second.pid, signal.SIGKILL)

    third = start_after_owner_died(second, lambda: start_postgres(folder / "pg"))
    assert query(third, "select n from kept order by n") == [(1,), (2,)]
    third.stop()


def start_after_owner_died(server: Server, start):
    """The folder's lock is held by this very process; let it go as the kernel would if we had been killed."""
    server.stop()
    return start()


def test_postgres_takes_over_from_a_server_whose_owner_was_killed(folder: Path) -> None:
    if (child := os.fork()) == 0:
        start_postgres(folder / "pg")
        os._exit(0)  # no clean-up: as after SIGKILL
    assert os.waitpid(child, 0)[1] == 0
    orphan = int((folder / "pg/data/postmaster.pid").read_text().split()[0])
    assert psutil.pid_exists(orphan)

    server = start_postgres(folder / "pg")
    assert server.pid != orphan
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
    assert query(server, "select 1") == [(1,)]
    server.stop()


def test_postgres_is_not_fooled_by_a_pid_file_that_names_a_stranger(folder: Path) -> None:
    start_postgres(folder / "pg").stop()
    (folder / "pg/data/postmaster.pid").write_text(
        f"{os.getpid()}\n{folder / 'pg/data'}\n{int(time.time())}\n5432\n"
    )

    server = start_postgres(folder / "pg")
    assert query(server, "select 1") == [(1,)]
    server.stop()


def test_postgres_is_reached_only_through_a_private_socket(folder: Path) -> None:
    server = start_postgres(folder / "pg")
    assert listening_addresses(server.pid) == set()
    sockets = Path(server.url.split("host=")[1])
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert psutil.Process(server.pid).uids().effective != 0
    server.stop()


def test_a_folder_whose_path_is_too_long_for_a_socket_works(folder: Path) -> None:
    server = start_postgres(folder / ("deep" * 30))
    assert query(server, "select 1") == [(1,)]
    server.stop()


def test_a_folder_serves_one_owner_at_a_time(folder: Path) -> None:
    server = start_postgres(folder / "pg")
    with pytest.raises(ServerError, match="in use"):
        start_postgres(folder / "pg")
    server.stop()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with pytest.raises(ServerError, match="no_such_setting"):
        start_postgres(folder / "pg", settings={"no_such_setting": "1"})


def test_valkey_wants_its_password_and_listens_on_this_machine_only(folder: Path) -> None:
    server = start_valkey(folder)
    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    assert listening_addresses(server.pid) == {"127.0.0.1"}
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port).ping()
    assert redis.Redis.from_url(server.url).ping()
    assert stat.S_IMODE((folder / "valkey.conf").stat().st_mode) == 0o600
    server.stop()


def test_valkey_keeps_the_queue_over_a_stop_and_sets_a_broken_dump_aside(folder: Path) -> None:
    first = start_valkey(folder)
    redis.Redis.from_url(first.url).lpush("queue", "run")
    first.stop()

    second = start_valkey(folder)
    assert redis.Redis.from_url(second.url).lrange("queue", 0, -1) == [b"run"]
    os.kill(second.pid, signal.SIGKILL)
    second.stop()

    (folder / "dump.rdb").write_bytes(b"REDIS9999 not a dump")
    third = start_valkey(folder)
    assert redis.Redis.from_url(third.url).ping()
    assert (folder / "dump.rdb.refused").exists()
    third.stop()


def test_the_fixtures_give_each_test_an_empty_database_and_one_broker(
    empty_database_url: str, broker_url: str
) -> None:
    with psycopg.connect(empty_database_url.replace("+psycopg", "")) as connection:
        tables = connection.execute("select * from pg_tables where schemaname = 'public'").fetchall()
    assert tables == []
    assert redis.Redis.from_url(broker_url).ping()


def test_only_this_account_reads_a_log(tmp_path: Path) -> None:
    old = tmp_path / "old.log"
    old.write_bytes(b"of an earlier version\n")
    old.chmod(0o644)
    for path in (old, tmp_path / "new.log"):
        with open_log(path) as log:
            log.write(b"a line\n")
        assert path.stat().st_mode & 0o777 == 0o600
    assert old.read_bytes() == b"of an earlier version\na line\n"
