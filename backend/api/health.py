"""The routes that say how the server is, which need no token."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from vise_client.schemas.wire import Health

from . import needs
from .monitor import Monitor

router = APIRouter(tags=["health"])


@router.get("/health", response_model=Health, responses={503: {"model": Health}}, dependencies=[needs.public])
async def health(request: Request, response: Response) -> Health:
    """Report the state of each part in words; 503 if the database or the broker does not respond."""
    report = await _report(request)
    response.status_code = 200 if report.database and report.broker else 503
    return report


@router.get("/ready", response_model=Health, responses={503: {"model": Health}}, dependencies=[needs.public])
async def ready(request: Request, response: Response) -> Health:
    """Report whether runs can be accepted, executed and stored: 503 if any part that a run needs is not well."""
    report = await _report(request)
    response.status_code = 200 if all(part.ok for part in report.parts) else 503
    return report


@router.get("/live", status_code=204, dependencies=[needs.public])
async def live() -> Response:
    """Respond as long as this process works: it need not be started again."""
    return Response(status_code=204)


async def _report(request: Request) -> Health:
    monitor: Monitor = request.app.state.monitor
    parts = await monitor.check()
    well = {part.name: part.ok for part in parts}
    return Health(
        status="ok" if not any(part.message for part in parts) else "degraded",
        version=version("vise-studio"),
        database=well["database"],
        broker=well["broker"],
        workers=monitor.able_workers if well["database"] else 0,
        parts=parts,
    )
