"""What dead processes left behind is repaired: runs without a worker, runs without a message."""

import time
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text

from backend.store.database import connect, plain_url, session_factory
from backend.store.runs.create import create_run
from backend.store.runs.states import outbox
from backend.store.runs.states.attempts import Failure, RetryPolicy, retry_or_fail
from backend.store.runs.states.finish import finish_run, requeue_run
from backend.store.runs.states.lease import claim_run
from backend.store.runs.states.reconcile import ReconcileResult, lock_holders, read_broker, reconcile
from backend.store.runs.tables import Outbox, Run
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState

SAMPLE = {"source": {"kind": "sample", "posts": 20, "evaluation_images": 60}}


@pytest.fixture
def sessions(database_url: str):
    engine = connect(database_url)
    yield session_factory(engine)
    engine.dispose()


def queue(sessions, count: int) -> list[UUID]:
    """Runs that have been queued for a minute, whose messages have been published."""
    with sessions.begin() as db:
        made = [create_run(db, RunCreate(stage="ingest", spec=SAMPLE), None).id for _ in range(count)]
        db.flush()
        outbox.publish_due(db, lambda *_: None)
        db.execute(text("UPDATE runs SET queued_at = now() - interval '1 minute'"))
    return made


def repair(sessions, in_broker=frozenset(), retries=RetryPolicy(5, 2, 5, 10), **options) -> ReconcileResult:
    with sessions.begin() as db:
        return reconcile(
            db,
            retries=retries,
            republish_seconds=20,
            prediction_timeout_seconds=60,
            in_broker=in_broker,
            **options,
        )


def announced(sessions) -> list[UUID]:
    with sessions() as db:
        return list(db.scalars(select(Outbox.argument)))


def test_a_lost_message_is_written_again_although_its_queue_holds_others(sessions) -> None:
    first, lost, last = queue(sessions, 3)
    assert repair(sessions, {first, last}).republished == 1
    assert announced(sessions) == [lost]
    assert repair(sessions, {first, last}).republished == 0, "its message waits in the outbox"
    with sessions() as db:
        age = db.scalar(
            text("SELECT extract(epoch FROM now() - queued_at) FROM runs WHERE id = :id"), {"id": lost}
        )
    assert age >= 60, "it has been queued for as long as before"


def test_nothing_is_written_again_that_is_new_or_while_the_broker_does_not_respond(sessions) -> None:
    (old,) = queue(sessions, 1)
    assert repair(sessions, None).republished == 0
    with sessions.begin() as db:
        db.execute(text("UPDATE runs SET queued_at = now() - interval '19 s'"))
    assert repair(sessions).republished == 0
    with sessions.begin() as db:
        db.execute(text("UPDATE runs SET queued_at = now() - interval '21 s'"))
    assert repair(sessions).republished == 1
    assert announced(sessions) == [old]


def test_a_message_is_published_only_when_it_is_due(held) -> None:
    sessions, run_id, token = held
    with sessions.begin() as db:
        db.execute(text("DELETE FROM outbox"))
        assert requeue_run(db, run_id, token, "disk full", delay=60) is not None
    published: list[UUID] = []
    with sessions.begin() as db:
        outbox.publish_due(db, lambda _, argument, __: published.append(argument))
        assert db.get_one(Run, run_id).reason == "disk full"
    assert published == []
    with sessions.begin() as db:
        db.execute(text("UPDATE outbox SET due_at = now()"))
        outbox.publish_due(db, lambda _, argument, __: published.append(argument))
    assert published == [run_id]


def test_a_slow_broker_gets_some_messages_in_each_transaction_and_none_twice(
    sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PUBLISH_SECONDS", 0.05)
    with sessions.begin() as db:
        made = [create_run(db, RunCreate(stage="ingest", spec=SAMPLE), None).id for _ in range(5)]
    published: list[UUID] = []

    def publish(_task: str, argument: UUID, _queue: str) -> None:
        time.sleep(0.06)
        published.append(argument)

    for number in range(1, 6):
        with sessions.begin() as db:
            assert outbox.publish_due(db, publish) is (number < 5), "whether others are due"
        assert published == made[:number]
    with sessions.begin() as db:
        assert outbox.publish_due(db, publish) is False
    assert published == made


def test_no_transaction_is_open_while_the_broker_is_read(sessions) -> None:
    (lost,) = queue(sessions, 1)
    open_transactions = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND state LIKE 'idle in transaction%' AND pid != pg_backend_pid()"
    )

    def read() -> set[UUID]:
        with sessions() as db:
            assert db.scalar(open_transactions) == 0
        return set()

    in_broker = read_broker(sessions, 20, read)
    assert in_broker == set()
    assert repair(sessions, in_broker).republished == 1
    assert announced(sessions) == [lost]


def test_the_broker_is_not_read_unless_something_has_waited_for_long(sessions) -> None:
    queue(sessions, 1)
    with sessions.begin() as db:
        db.execute(text("UPDATE runs SET queued_at = now() - interval '19 s'"))
    assert read_broker(sessions, 20, lambda: pytest.fail("the broker was read")) is None


def test_an_expired_lease_whose_row_is_locked_is_reported_and_then_taken_back(
    held, database_url: str
) -> None:
    sessions, run_id, _ = held
    with sessions.begin() as db:
        db.execute(text("UPDATE runs SET lease_until = now() - interval '1 s'"))
    with psycopg.connect(plain_url(database_url), application_name="a person") as other:
        other.execute("SELECT 1 FROM runs WHERE id = %s FOR UPDATE", [run_id])
        other.execute("SELECT pg_sleep(5.5)")
        result = repair(sessions)
        assert (result.locked, result.requeued) == (1, 0)
        with sessions() as db:
            assert "a person, idle in transaction" in lock_holders(db)
    result = repair(sessions)
    assert (result.locked, result.requeued) == (0, 1)


def test_no_lease_is_taken_back_before_workers_could_renew_theirs(held) -> None:
    sessions, _, _ = held
    with sessions.begin() as db:
        db.execute(text("UPDATE runs SET lease_until = now() - interval '1 s'"))
    assert repair(sessions, settled=False).requeued == 0
    assert repair(sessions, settled=True).requeued == 1


def test_a_second_try_whose_first_was_committed_is_the_same_claim_and_the_same_end(sessions) -> None:
    (run_id,) = queue(sessions, 1)
    with sessions.begin() as db:
        first = claim_run(db, run_id, "w", 60)
    with sessions.begin() as db:
        assert claim_run(db, run_id, "w", 60) is None, "a second message"
        assert claim_run(db, run_id, "other", 60, again=True) is None
        assert claim_run(db, run_id, "w", 60, again=True) == first
    for _ in range(2):
        with sessions.begin() as db:
            finish_run(db, run_id, first.token, RunState.succeeded, result={}, headline={"a": 1})
    with sessions() as db:
        ends = "SELECT count(*) FROM run_events WHERE to_state = 'succeeded'"
        assert db.scalar(text(ends)) == 1


def test_a_lost_worker_counts_by_the_policy_of_lost_workers(held) -> None:
    sessions, run_id, _ = held
    with sessions.begin() as db:
        db.execute(text("UPDATE runs SET lease_until = now() - interval '1 s'"))
    assert repair(sessions, retries=RetryPolicy(1, 9, 9, 10)).failed == 1
    with sessions() as db:
        assert "the lease of" in str(db.get_one(Run, run_id).reason)


def test_the_message_of_the_next_attempt_is_due_after_the_pause(held) -> None:
    sessions, run_id, token = held
    with sessions.begin() as db:
        db.execute(text("DELETE FROM outbox"))
        policy = RetryPolicy(5, 2, 5, 100)
        assert retry_or_fail(db, run_id, token, 1, Failure.disk, "the disk is full", policy)
    with sessions() as db:
        assert 95 < db.scalar(text("SELECT extract(epoch FROM due_at - now()) FROM outbox")) <= 100
        assert "attempt 2 follows in 100 s" in str(db.get_one(Run, run_id).reason)
