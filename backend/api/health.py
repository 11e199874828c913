"""The health route, which needs no token."""

from __future__ import annotations

from importlib.metadata import version

import redis
from fastapi import APIRouter, Request, Response

from backend.store.database import is_up
from backend.store.runs import workers
from vise_client.schemas.wire import Health

router = APIRouter(tags=["health"])


@router.get("/health", response_model=Health)
def health(request: Request, response: Response) -> Health:
    """Report the state of database, broker and workers; 503 if the database or the broker does not respond."""
    database = is_up(request.app.state.engine)
    alive_workers = 0
    if database:
        with request.app.state.sessions() as db:
            alive_workers = workers.count_alive(db)
    broker = _broker_is_up(request.app.state.settings.broker_url)
    healthy = database and broker
    response.status_code = 200 if healthy else 503
    return Health(
        status="ok" if healthy else "degraded",
        version=version("vise-studio"),
        database=database,
        broker=broker,
        workers=alive_workers,
    )


def _broker_is_up(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False
