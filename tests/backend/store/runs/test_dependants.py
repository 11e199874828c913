"""What becomes of the runs that read from a run that has failed."""

from uuid import UUID

from sqlalchemy import event, func, select

from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from backend.store.runs.tables import Run, RunEvent
from vise_client.schemas.run_states import RunState

LENGTH = 300


def test_a_long_chain_is_cancelled_together_and_each_run_names_its_input(db) -> None:
    parent = Run(kind="recipe", name="chain", state="running", queue="cpu", spec={})
    db.add(parent)
    db.flush()
    ids = [UUID(int=LENGTH - number) for number in range(LENGTH)]  # Not in the order of the chain.
    common = {"kind": "stage", "stage": "label", "queue": "cpu", "spec": {}, "parent_id": parent.id}
    db.add_all(
        Run(
            id=id_,
            name=str(number),
            state="waiting" if number else "queued",
            position=number,
            depends_on=ids[number - 1 : number] if number else [],
            **common,
        )
        for number, id_ in enumerate(ids)
    )
    outside = Run(**common | {"parent_id": None}, name="outside", state="paused", depends_on=[ids[-1]])
    db.add(outside)
    db.flush()
    claim = claim_run(db, ids[0], "w", 60)
    assert claim is not None
    sent: list[str] = []
    event.listen(db.connection(), "before_cursor_execute", lambda *given: sent.append(given[2]))
    finish_run(db, ids[0], claim.token, RunState.failed, reason="a bug")
    assert len(sent) < 40
    db.expire_all()
    of_chain = select(Run.state, Run.reason).where(Run.parent_id == parent.id).order_by(Run.position)
    states = [tuple(row) for row in db.execute(of_chain)]
    assert states[:2] == [("failed", "a bug"), ("cancelled", "'0', which it reads from, has failed")]
    assert states[2:] == [
        ("cancelled", f"'{number}', which it reads from, was cancelled") for number in range(1, LENGTH - 1)
    ]
    last = f"'{LENGTH - 1}', which it reads from, was cancelled"
    assert (outside.state, outside.reason, parent.state) == ("cancelled", last, "failed")
    details = select(RunEvent.detail).where(RunEvent.run_id == outside.id)
    assert db.scalars(details).all() == [last]
    ends = select(func.count()).select_from(RunEvent).where(RunEvent.to_state == "cancelled")
    assert db.scalar(ends) == LENGTH
