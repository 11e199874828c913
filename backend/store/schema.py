"""Whether the database's tables are those of this version of the program."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from sqlalchemy import Connection, text

from backend.store.database import alembic_config, server_problem
from vise_core.provenance import git_commit


@cache
def program_version() -> str:
    """Return the version of this program, with the commit of its checkout, if it is one."""
    commit = git_commit()
    return version("vise-studio") + (f" ({commit[:7]})" if commit else "")


@cache
def revisions() -> list[str]:
    """Return the revisions that this version knows, newest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(alembic_config("")).walk_revisions()
    return [script.revision for script in scripts]


def schema_problem(connection: Connection) -> str | None:
    """Return a sentence if the database's tables are older or newer than this version; None if they fit."""
    if problem := server_problem(connection):
        return problem
    newest = revisions()[0]
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return "the database has no tables yet: run `vise migrate`"
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision == newest:
        return None
    if revision in revisions():
        return (
            f"the database has revision {revision}, and this version needs {newest}: run `vise migrate`, "
            "then restart the processes of the older version"
        )
    return (
        f"the database has revision {revision}, which this version (revision {newest}) does not know: another version "
        "has migrated it. Restart this process with that version"
    )
