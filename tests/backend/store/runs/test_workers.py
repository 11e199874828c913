"""Workers and dispatchers are watched: the silent and the deaf are named."""

from sqlalchemy import text

from backend.store.runs import workers
from backend.store.schema import program_version, revisions


def test_only_workers_that_beat_and_hear_count(db) -> None:
    assert workers.worker_problems(db) == (0, {})
    for name in ("well", "deaf", "silent", "long gone"):
        workers.beat(db, name, ["cpu"], "cpu", None, hears=name != "deaf")
    for name, seconds in (("silent", 16), ("long gone", 700)):
        old = text("UPDATE workers SET heartbeat_at = now() - make_interval(secs => :s) WHERE name = :name")
        db.execute(old, {"s": seconds, "name": name})
    able, problems = workers.worker_problems(db)
    assert able == 1
    assert problems == {
        "deaf": "is deaf: messages through the broker do not reach it",
        "silent": "has sent no heartbeat for 16 s",
    }


def test_a_worker_that_starts_again_under_its_name_has_a_new_start(db) -> None:
    workers.beat(db, "w", ["cpu"], "cpu", None, started=True)
    db.execute(text("UPDATE workers SET started_at = now() - interval '1 h'"))
    workers.beat(db, "w", ["cpu"], "cpu", None)
    assert db.scalar(text("SELECT started_at < now() FROM workers"))
    workers.beat(db, "w", ["cpu"], "cpu", None, started=True)
    assert db.scalar(text("SELECT started_at = now() FROM workers"))


def test_a_worker_of_another_version_is_marked(db) -> None:
    workers.beat(db, "same", ["cpu"], "cpu", None)
    workers.beat(db, "older", ["cpu"], "cpu", None)
    workers.beat(db, "other tables", ["cpu"], "cpu", None)
    db.execute(text("UPDATE workers SET version = '0.0.9' WHERE name = 'older'"))
    db.execute(text("UPDATE workers SET revision = '0001' WHERE name = 'other tables'"))
    views = {view.name: view for view in workers.list_workers(db)}
    assert (views["same"].version, views["same"].revision) == (program_version(), revisions()[0])
    assert views["same"].differs is None
    assert "it runs version 0.0.9, the API" in str(views["older"].differs)
    assert "it knows revision 0001 of the tables" in str(views["other tables"].differs)


def test_one_dispatcher_that_beats_and_reaches_the_broker_is_enough(db) -> None:
    assert "no dispatcher runs" in str(workers.dispatcher_problem(db))
    workers.beat_dispatcher(db, "cut off", broker=False)
    assert workers.dispatcher_problem(db) == "the dispatcher does not reach the broker"
    db.execute(text("UPDATE dispatchers SET heartbeat_at = now() - interval '20 s'"))
    assert "no heartbeat for 20 s" in str(workers.dispatcher_problem(db))
    workers.beat_dispatcher(db, "well", broker=True)
    assert workers.dispatcher_problem(db) is None
