"""A prediction of either kind whose message was lost is published again."""

from datetime import timedelta

from sqlalchemy import select, text, update

from backend.store.database import connect, session_factory
from backend.store.registry.tables import Artifact, Model
from backend.store.runs.states.attempts import RetryPolicy
from backend.store.runs.states.reconcile import reconcile
from backend.store.runs.tables import Outbox, Run
from backend.store.serving import engagement, predictions
from backend.store.serving.tables import Engagement, Prediction


def test_a_lost_message_of_either_kind_is_written_again(database_url: str) -> None:
    engine = connect(database_url)
    sessions = session_factory(engine)
    with sessions.begin() as db:
        run = Run(kind="stage", stage="pretrain", name="r", state="succeeded", queue="cpu", spec={})
        db.add(run)
        db.flush()
        artifact = Artifact(
            run_id=run.id, name="a", sha256="0" * 64, size=0, files=0, folder=True, manifest=[]
        )
        db.add(artifact)
        db.flush()
        facts = {"method": "m", "task": "t", "backbone": "b", "classes": ["a"], "headline": {}}
        model = Model(name="m", run_id=run.id, artifact_id=artifact.id, synthetic=True, **facts)
        db.add(model)
        db.flush()
        asked = [
            Prediction(model_id=model.id, state="queued", options={"method": "cam"}),
            Engagement(checkpoint_id=artifact.id, state="queued", options={}),
        ]
        db.add_all(asked)
        db.flush()
        expected = {(predictions.TASK, asked[0].id), (engagement.TASK, asked[1].id)}
        for table in (Prediction, Engagement):
            db.execute(update(table).values(created_at=table.created_at - timedelta(minutes=1)))
        db.execute(text("DELETE FROM outbox"))
    for in_broker, found in (({row_id for _, row_id in expected}, set()), (frozenset(), expected)):
        with sessions.begin() as db:
            policy = RetryPolicy(5, 2, 5, 10)
            reconcile(
                db,
                retries=policy,
                republish_seconds=20,
                prediction_timeout_seconds=600,
                in_broker=in_broker,
            )
            rows = db.execute(select(Outbox.task, Outbox.argument)).all()
            assert {(task, argument) for task, argument in rows} == found
    engine.dispose()
