"""A run that the test's process holds, as a worker does."""

from uuid import UUID

from backend.store.database import Sessions
from backend.store.runs.create import create_run
from backend.store.runs.states.lease import claim_run
from vise_client.schemas.launch import RunCreate


def hold_run(sessions: Sessions) -> tuple[UUID, int]:
    """Create and claim a small run; return its id and the fencing token."""
    spec = {"source": {"kind": "sample", "posts": 10, "evaluation_images": 60}}
    # In one transaction: a worker of the stack, if there is one, comes too late.
    with sessions.begin() as db:
        run_id = create_run(db, RunCreate(stage="ingest", spec=spec), None).id
        claim = claim_run(db, run_id, "w", 600)
    assert claim is not None
    return run_id, claim.token
