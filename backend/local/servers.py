"""PostgreSQL and Valkey from wheels: the same engines as in a cluster, with nothing to install.

Both listen on this machine only, and both survive having been killed: what an earlier start left behind is
recognised and cleared away. ``folder`` is theirs alone, and keeps their data from start to start.
"""

from backend.local.postgres import start_postgres
from backend.local.processes import Server, ServerError
from backend.local.valkey import start_valkey

__all__ = ["Server", "ServerError", "start_postgres", "start_valkey"]
