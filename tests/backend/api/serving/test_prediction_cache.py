"""Which requests share a cached prediction, and that a finished prediction wakes the request that waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from backend.api.serving.listener import PredictionListener
from backend.api.serving.prediction_cache import PredictionCache, request_key
from backend.settings import Settings
from backend.store.database import connect
from backend.store.serving.predictions import DONE_CHANNEL
from vise_core.specs.explain import COLOUR_MAPS
from vise_core.specs.models.predict import PredictOptions

requests = st.tuples(
    st.binary(max_size=3),
    st.sampled_from(["model", "other"]),
    st.builds(
        PredictOptions,
        method=st.sampled_from(["cam", "gradcam"]),
        target_class=st.sampled_from([None, "fear", "joy"]),
        strength=st.sampled_from([0.0, 0.5]),
        colour_map=st.sampled_from(sorted(COLOUR_MAPS)),
        overlay=st.booleans(),
    ),
    st.booleans(),
)


@given(requests, requests)
def test_requests_share_a_key_only_where_all_is_equal(one, other) -> None:
    assert (request_key(*one) == request_key(*other)) == (one == other)


@given(st.lists(st.sampled_from("abcde"), max_size=20), st.integers(1, 4))
def test_the_newest_requests_are_cached(keys: list[str], size: int) -> None:
    cache = PredictionCache(size)
    rows: dict[str, UUID] = {}
    for key in keys:
        rows[key] = uuid4()
        cache.put(key, rows[key])
    newest = list(dict.fromkeys(reversed(keys)))[:size]
    assert {key: cache.get(key) for key in "abcde"} == {
        key: rows[key] if key in newest else None for key in "abcde"
    }


def test_a_notification_wakes_only_who_waits_for_it(settings: Settings) -> None:
    prediction_id, other = str(uuid4()), str(uuid4())

    def tell() -> None:
        engine = connect(settings.database_url)
        with engine.begin() as connection:
            connection.execute(select(func.pg_notify(DONE_CHANNEL, prediction_id)))
        engine.dispose()

    async def wait() -> bool:
        listener = PredictionListener()
        async with listener.listen(settings.database_url):
            with listener.wait_for(prediction_id) as event, listener.wait_for(other) as never:
                while not event.is_set():  # the listener needs a moment to connect
                    await asyncio.to_thread(tell)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(event.wait(), 0.2)
                woken = never.is_set()
        assert not listener._waiting
        return woken

    assert asyncio.run(wait()) is False
