"""Each claim of a run has a token of its own; the writes of an earlier holder are refused."""

import pytest
from sqlalchemy import text

from backend.store.errors import StaleToken
from backend.store.runs.states.finish import finish_run, requeue_run
from backend.store.runs.states.lease import check_token, claim_run, renew_lease
from vise_client.schemas.run_states import RunState


def test_each_claim_raises_the_token_so_that_the_former_holder_is_refused(held) -> None:
    sessions, run_id, first = held
    with sessions.begin() as db:
        # As if only the claim had raised the token: how the run came back to its queue does not matter here.
        assert requeue_run(db, run_id, first, "lost") is not None
        db.execute(text("UPDATE runs SET token = :first WHERE id = :run"), {"first": first, "run": run_id})
    with sessions.begin() as db:
        claim = claim_run(db, run_id, "other", 60)
        assert claim is not None
        assert claim.token > first
    with sessions.begin() as db:
        assert renew_lease(db, run_id, first, 60) is None
        with pytest.raises(StaleToken):
            check_token(db, run_id, first)
        with pytest.raises(StaleToken):
            finish_run(db, run_id, first, RunState.succeeded, result={})
        assert renew_lease(db, run_id, claim.token, 60) is RunState.running
