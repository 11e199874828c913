"""Copy the rows of all tables out of a snapshot of the database, and into an empty one.

By COPY and our own migrations, not by pg_dump: the servers' images have no PostgreSQL programs, whose version would
have to be the server's; and a backup of an older revision is restored by migrating it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql
from sqlalchemy import inspect

from backend.store.database import UNLIMITED, connect, open_connection, plain_url

from .backup_files import DATABASE, BackupError, TableEntry

TRANSIENT = {
    *("workers", "dispatchers", "garbage", "login_attempts"),
    *("request_keys", "upload_reservations", "cleared_caches"),
}
"""Tables about processes and the storage of the moment: their rows are not kept."""

_TABLES = """
    SELECT relname, array_agg(attname::text ORDER BY attnum)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' AND relname != 'alembic_version'
    GROUP BY relname ORDER BY relname
"""
# The text of a value depends on these.
_FORMATS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "client_encoding": "UTF8",
    # Rows in their order on disk, so that rows that were copied in come out in the same order.
    "synchronize_seqscans": "off",
}


@contextmanager
def snapshot(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Open a read-only transaction that sees one state of the database, however long it takes."""
    with open_connection(UNLIMITED, plain_url(url), **UNLIMITED.arguments()) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        _set_formats(connection)
        yield connection


def copy_out(connection: psycopg.Connection[Any], folder: Path) -> tuple[str, list[TableEntry]]:
    """Write the rows of each table to ``database/<table>.copy``; return (revision, the tables).

    Raises BackupError if the database has no tables of ours.
    """
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise BackupError("the database has no tables of VisE Studio: run `vise migrate`")
    (folder / DATABASE).mkdir()
    entries = []
    for table, columns in connection.execute(_TABLES).fetchall():
        if table in TRANSIENT:
            continue
        path = f"{DATABASE}/{table}.copy"
        digest, size, rows = hashlib.sha256(), 0, 0
        with (folder / path).open("wb") as file:
            for data in _rows(connection, table, columns):
                file.write(data)
                digest.update(data)
                size += len(data)
                rows += data.count(b"\n")
        entries.append(
            TableEntry(
                path=path,
                size=size,
                sha256=digest.hexdigest(),
                table=table,
                columns=tuple(columns),
                rows=rows,
            )
        )
    return row[0], entries


def require_empty(url: str) -> None:
    """Raise BackupError if any table of the database has a row."""
    engine = connect(url, pool_size=1, limits=UNLIMITED)
    with engine.connect() as connection:
        names = set(inspect(connection).get_table_names()) - {"alembic_version"}
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        for name in sorted(names - TRANSIENT):
            query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(name))
            if (row := driver.execute(query).fetchone()) is not None and row[0]:
                raise BackupError(
                    f"the database is not empty: its table {name} has rows. Restore into an empty database: another "
                    "VISE_DATABASE_URL, or another home"
                )
    engine.dispose()


def copy_in(url: str, folder: Path, tables: Sequence[TableEntry]) -> None:
    """Copy the rows of all tables in, in one transaction, and compare what the database then has with the backup.

    Raises BackupError for a table that the database does not have, and if one differs after it was copied in.
    """
    engine = connect(url, pool_size=1, limits=UNLIMITED)
    with engine.connect() as connection:
        order = [name for name, _ in inspect(connection).get_sorted_table_and_fkc_names() if name is not None]
    engine.dispose()
    by_name = {entry.table: entry for entry in tables}
    if unknown := sorted(by_name.keys() - set(order)):
        raise BackupError(f"the backup has tables that its revision does not: {', '.join(unknown)}")
    with open_connection(UNLIMITED, plain_url(url), **UNLIMITED.arguments()) as connection:
        _set_formats(connection)
        for entry in (by_name[name] for name in order if name in by_name):
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(entry.table), sql.SQL(", ").join(map(sql.Identifier, entry.columns))
            )
            with connection.cursor().copy(statement) as copy, (folder / entry.path).open("rb") as file:
                while data := file.read(2**20):
                    copy.write(data)
            digest = hashlib.sha256()
            for data in _rows(connection, entry.table, entry.columns):
                digest.update(data)
            if digest.hexdigest() != entry.sha256:
                raise BackupError(f"the table {entry.table} differs from the backup after it was copied in")
            _set_sequences(connection, entry)


def _rows(connection: psycopg.Connection[Any], table: str, columns: Sequence[str]) -> Iterator[bytes]:
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(statement) as copy:
        for data in copy:
            yield bytes(data)


def _set_formats(connection: psycopg.Connection[Any]) -> None:
    for name, value in _FORMATS.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])


def _set_sequences(connection: psycopg.Connection[Any], entry: TableEntry) -> None:
    """Have numbered columns continue after the rows that were copied in."""
    for column in entry.columns:
        row = connection.execute("SELECT pg_get_serial_sequence(%s, %s)", [entry.table, column]).fetchone()
        if row is not None and row[0] is not None:
            query = sql.SQL("SELECT setval({}, coalesce(max({}), 0) + 1, false) FROM {}")
            connection.execute(
                query.format(sql.Literal(row[0]), sql.Identifier(column), sql.Identifier(entry.table))
            )
