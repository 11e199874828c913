"""Exit 0 if this container's worker has given a sign of life lately, else 1.

A worker has no port, and Celery's remote control is off; its heartbeat in the database is what others see of it.
"""

import os
import socket
import sys

from backend.settings import settings
from backend.store.database import connect, session_factory
from backend.store.runs.workers import list_workers


def main() -> int:
    named = os.environ.get("VISE_WORKER_NAME")
    # Without a given name a worker calls itself <host>-<pid>, and a container's host name is its own.
    host = f"{socket.gethostname()}-"
    with session_factory(connect(settings().database_url, pool_size=1))() as db:
        alive = [worker.name for worker in list_workers(db) if worker.alive]
    return 0 if any(name == named if named else name.startswith(host) for name in alive) else 1


if __name__ == "__main__":
    sys.exit(main())
