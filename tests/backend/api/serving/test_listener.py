"""A connection that waits for notifications and is cut in silence is replaced: no request notices for long."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from backend.api.serving import listener
from backend.store.database import LIMITS, plain_url
from backend.store.serving.predictions import DONE_CHANNEL
from tests.proxy import before


def test_a_connection_that_is_cut_in_silence_is_replaced(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PING_SECONDS", 0.1)
    monkeypatch.setattr(listener, "RECONNECT_SECONDS", 0.1)
    monkeypatch.setattr(listener, "LIMITS", replace(LIMITS, ping=0.5))
    prediction_id, made = uuid4(), listener.PredictionListener()

    async def notified() -> None:
        """Return once a notification arrives; it is sent again and again, as none is kept for a later listener."""
        with made.wait_for(prediction_id) as finished, psycopg.connect(plain_url(database_url)) as other:
            other.autocommit = True
            while not finished.is_set():
                other.execute("SELECT pg_notify(%s, %s)", [DONE_CHANNEL, str(prediction_id)])
                await asyncio.sleep(0.05)

    async def cut() -> None:
        with before(database_url) as (through, proxy):
            async with made.listen(through):
                await asyncio.wait_for(notified(), 20)
                proxy.half_open()
                await asyncio.wait_for(notified(), 20)

    asyncio.run(cut())
