"""Each process checks that the database's tables are those of its version: at its start, and while it runs."""

from __future__ import annotations

import logging
import sys
import threading

from sqlalchemy.exc import SQLAlchemyError

from backend.store.errors import in_words, is_transient
from backend.store.schema import schema_problem

from .context import Context

log = logging.getLogger("vise.worker")


def require_schema(context: Context, stop: threading.Event) -> None:
    """Wait until the database responds, then end this process with a message unless its tables fit this version."""
    while not stop.is_set():
        try:
            with context.sessions() as db:
                problem = schema_problem(db.connection())
        except SQLAlchemyError as error:
            if not is_transient(error):
                raise
            log.warning("the database does not respond; retrying: %s", in_words(error))
            stop.wait(1)
            continue
        if problem is not None:
            sys.exit(f"{problem}.")
        return
