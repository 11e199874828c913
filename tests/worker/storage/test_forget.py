"""A post is removed from everything that holds it or shows it, others stay, and a scan proves it."""

import json

import pytest
from sqlalchemy import func, select

from backend.store.errors import Conflict
from backend.store.registry.tables import Dataset
from backend.store.runs.tables import Run
from backend.store.upkeep import forget
from tests.worker.storage.lab import GONE, Lab


def test_what_is_the_users_own_is_named_and_left_alone(lab: Lab) -> None:
    place = lab.place
    raw = lab.data_root / "raw" / "posts.jsonl"
    raw.write_text(json.dumps({"id": GONE}) + "\n")
    with place.sessions.begin() as db:
        raw_id = db.scalar(select(Dataset.id))
        db.get_one(Run, lab.other).inputs = {"posts": {"dataset": str(raw_id)}}
    findings = forget.find(place.sessions, place.storage, lab.data_root, [GONE])
    assert [finding.what for finding in findings.folders] == [
        "raw/posts.jsonl of the data set 'raw': remove the post there"
    ]
    assert lab.other in {finding.id for finding in findings.derived}
    forget.forget(place.sessions, place.storage, findings, [GONE])
    left = forget.remaining(place.sessions, place.storage, lab.data_root, [GONE])
    assert left == ["raw/posts.jsonl of the data set 'raw'"]
    assert GONE in raw.read_text()


@pytest.mark.parametrize("stage", ["ingest", "pretrain"])
def test_an_unfinished_run_that_holds_or_reads_the_post_is_in_the_way(lab: Lab, stage: str) -> None:
    place = lab.place
    place.change(getattr(lab, stage), state="running")
    before = {sha256 for sha256, _ in place.storage.objects()}
    findings = forget.find(place.sessions, place.storage, None, [GONE])
    with pytest.raises(Conflict, match=f"unfinished run '{stage}'"):
        forget.forget(place.sessions, place.storage, findings, [GONE])
    assert {sha256 for sha256, _ in place.storage.objects()} == before


def test_forgetting_that_was_killed_is_repeated(lab: Lab, monkeypatch) -> None:
    place = lab.place

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("forget_rows.forget", "sweep.remove_due"):
        findings = forget.find(place.sessions, place.storage, None, [GONE])
        with monkeypatch.context() as patched:
            patched.setattr(f"backend.store.upkeep.{name}", killed)
            with pytest.raises(KeyboardInterrupt):
                forget.forget(place.sessions, place.storage, findings, [GONE])
    findings = forget.find(place.sessions, place.storage, None, [GONE])
    forget.forget(place.sessions, place.storage, findings, [GONE])
    assert forget.remaining(place.sessions, place.storage, None, [GONE]) == []


def test_saved_states_that_hold_the_post_go(lab: Lab) -> None:
    place = lab.place
    run_id, reporter = place.held()
    folder = place.files("other")
    (folder / "seen.json").write_text(json.dumps([GONE]))
    reporter.checkpoint(folder)
    reporter.close()
    place.change(run_id, state="failed", finished_at=func.now(), lease_until=None)
    findings = forget.find(place.sessions, place.storage, None, [GONE])
    assert [finding.id for finding in findings.states] == [run_id]
    forget.forget(place.sessions, place.storage, findings, [GONE])
    assert list(place.storage.files("checkpoints")) == []
    with place.sessions() as db:
        assert db.get_one(Run, run_id).checkpoint is None
