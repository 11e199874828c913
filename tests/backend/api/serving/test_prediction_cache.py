"""Which questions are the same, and that an answer wakes who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from backend.api.serving.listener import Answered
from backend.api.serving.prediction_cache import Repeats, question_key
from backend.settings import Settings
from backend.store.database import connect
from backend.store.serving.predictions import ANSWERED
from vise_core.specs.explain import COLOUR_MAPS
from vise_core.specs.models.predict import PredictOptions

questions = st.tuples(
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


@given(questions, questions)
def test_questions_share_a_key_only_where_all_is_equal(one, other) -> None:
    assert (question_key(*one) == question_key(*other)) == (one == other)


@given(st.lists(st.sampled_from("abcde"), max_size=20), st.integers(1, 4))
def test_the_newest_questions_are_known(asked: list[str], most: int) -> None:
    repeats = Repeats(most)
    rows: dict[str, UUID] = {}
    for key in asked:
        rows[key] = uuid4()
        repeats.note(key, rows[key])
    newest = list(dict.fromkeys(reversed(asked)))[:most]
    assert {key: repeats.find(key) for key in "abcde"} == {
        key: rows[key] if key in newest else None for key in "abcde"
    }


def test_a_notification_wakes_only_who_waits_for_it(settings: Settings) -> None:
    asked, other = str(uuid4()), str(uuid4())

    def tell() -> None:
        engine = connect(settings.database_url)
        with engine.begin() as connection:
            connection.execute(select(func.pg_notify(ANSWERED, asked)))
        engine.dispose()

    async def wait() -> bool:
        answered = Answered()
        async with answered.listening(settings.database_url):
            with answered.awaited(asked) as event, answered.awaited(other) as never:
                while not event.is_set():  # the listener needs a moment to connect
                    await asyncio.to_thread(tell)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(event.wait(), 0.2)
                woken = never.is_set()
        assert not answered._waiting
        return woken

    assert asyncio.run(wait()) is False
