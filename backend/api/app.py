"""The application: ``uvicorn backend.api.app:create_app --factory``."""

from __future__ import annotations

import gc

# Objects made by imports stay for good. Scanning them again and again while they grow takes a fifth of the startup.
gc.disable()

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from backend.api.accounts import audit_log, changeable, sign_in, tokens, users
from backend.api.clusters import explorers
from backend.api.registry import artifacts, datasets, models, removals
from backend.api.reports import ablations, tables_and_figures
from backend.api.runs import launch, run, run_lists, run_states, saved_views, stages
from backend.api.serving import engagement, predictions
from backend.api.serving.listener import PredictionListener
from backend.api.serving.prediction_cache import PredictionCache
from backend.settings import Settings
from backend.settings import settings as environment
from backend.store.accounts import audit
from backend.store.database import connect, reading, session_factory
from backend.store.registry.storage import Storage
from backend.store.schema import program_version
from vise_client.bodies import Pace
from vise_core.ending import end_in_time_after_signals

from . import errors, health, needs
from .broker import Broker
from .documented import check_method, document_statuses
from .limits import RequestLimits
from .monitor import Monitor
from .texts import check_texts

gc.freeze()
# A request makes some ten thousand objects, nearly all freed by reference counts: looking for cycles after every 700
# of them would take an eighth of its time.
gc.set_threshold(20_000, 20, 20)
gc.enable()

PREFIX = "/api/v1"
CLOSED = (
    predictions,  # First, as routes are matched in this order and predictions must be fast.
    sign_in,
    tokens,
    users,
    changeable,
    audit_log,
    stages,
    datasets,
    removals,
    run_lists,  # Before run, as a run's id would match the names of lists too.
    launch,
    run,
    run_states,
    artifacts,
    models,
    engagement,
    explorers,
    tables_and_figures,
    ablations,
    saved_views,
)
"""The rooms whose routes need a token, in the order in which requests are matched."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the API for these settings; by default, for those of the environment."""
    settings = settings or environment()
    engine = connect(settings.database_url, pool_size=10)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        end_in_time_after_signals()
        program_version()  # Of now: the checkout may have changed when it is first needed.
        watching = asyncio.create_task(monitor.run())
        async with app.state.listener.listen(settings.database_url):
            yield
        watching.cancel()
        engine.dispose()
        monitor.close()

    app = FastAPI(
        title="VisE Studio",
        version=version("vise-studio"),
        description="Queue and follow runs, read metrics and artifacts, request predictions. "
        "Sign in with a token; errors are RFC 9457 problem details.",
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.engine = engine
    app.state.sessions = session_factory(engine)
    app.state.reading = reading(app.state.sessions)
    app.state.listener = PredictionListener()
    app.state.broker = Broker(settings.broker_url)
    app.state.prediction_cache = PredictionCache()
    audit.watch(app.state.sessions)
    app.state.storage = Storage(settings.storage_url)
    app.state.monitor = monitor = Monitor(settings, app.state.storage)
    errors.install(app)
    app.add_middleware(
        RequestLimits,
        max_body=settings.max_upload_bytes + 2**20,
        pace=Pace(
            stalled_seconds=settings.stalled_upload_seconds,
            total_seconds=settings.upload_seconds,
            slowest=settings.upload_bytes_per_second,
        ),
        larger={f"{PREFIX}/datasets/upload": settings.max_dataset_bytes},
    )

    routers = [health.router, sign_in.public, *(routes.router for routes in CLOSED)]
    app.state.needs = needs.table(PREFIX, routers)
    checks = [Depends(check_method), Depends(check_texts)]
    for router in routers:
        app.include_router(router, prefix=PREFIX, dependencies=checks)
    document_statuses(app)
    return app
