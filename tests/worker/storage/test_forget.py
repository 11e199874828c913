"""A post is removed from everything that holds it or shows it, others stay, and a scan proves it."""

import gzip
import json
import random

import pytest
from sqlalchemy import func, select

from backend.store.errors import Conflict
from backend.store.registry import artifacts
from backend.store.registry.tables import Artifact, Dataset, Upload
from backend.store.runs.tables import Run
from backend.store.serving.tables import Prediction
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
    assert [finding.what for finding in findings.by_hand] == [
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


def test_what_shows_the_post_goes_although_the_shards_were_rewritten_before_a_kill(
    lab: Lab, monkeypatch
) -> None:
    place = lab.place
    findings = forget.find(place.sessions, place.storage, None, [GONE])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(forget, "_rewrite", killed)
        with pytest.raises(KeyboardInterrupt):
            forget.forget(place.sessions, place.storage, findings, [GONE])
    with place.sessions() as db:
        assert db.scalars(select(Artifact.run_id).where(Artifact.name == "explorer")).all() == [lab.other]
        assert db.scalar(select(func.count()).select_from(Prediction)) == 1


def test_a_run_that_was_launched_after_the_search_is_in_the_way_and_what_it_shows_goes(lab: Lab) -> None:
    place = lab.place
    findings = forget.find(place.sessions, place.storage, None, [GONE])
    late = lab.run("explore", "explorer", place.files("a late comment of the post"), lab.ingest)
    place.change(late, state="running", name="late")
    with pytest.raises(Conflict, match="unfinished run 'late'"):
        forget.forget(place.sessions, place.storage, findings, [GONE])
    place.change(late, state="succeeded")
    forget.forget(place.sessions, place.storage, findings, [GONE])
    with place.sessions() as db:
        assert db.scalars(select(Artifact.run_id).where(Artifact.name == "explorer")).all() == [lab.other]


def test_an_unfinished_run_that_reads_the_uploaded_archive_is_in_the_way(lab: Lab) -> None:
    place = lab.place
    run_id, reporter = place.held()
    reporter.close()
    with place.sessions.begin() as db:
        upload = db.scalar(select(Upload.id))
        db.get_one(Run, run_id).inputs = {"posts": {"upload": str(upload)}}
    place.change(run_id, name="unpacks")
    findings = forget.find(place.sessions, place.storage, None, [GONE])
    with pytest.raises(Conflict, match="unfinished run 'unpacks'"):
        forget.forget(place.sessions, place.storage, findings, [GONE])


def test_saved_states_that_hold_the_post_go(lab: Lab) -> None:
    place = lab.place
    run_id, reporter = place.held()
    folder = place.files("other")
    (folder / "seen.json").write_text(json.dumps([GONE]))
    reporter.checkpoint(folder)
    reporter.close()
    place.change(run_id, state="failed", finished_at=func.now(), lease_until=None)
    findings = forget.find(place.sessions, place.storage, None, [GONE])
    assert [finding.run_id for finding in findings.states] == [run_id]
    forget.forget(place.sessions, place.storage, findings, [GONE])
    assert list(place.storage.files("checkpoints")) == []
    with place.sessions() as db:
        assert db.get_one(Run, run_id).checkpoint is None


def test_what_cannot_be_searched_is_named_and_such_an_archive_goes(lab: Lab) -> None:
    place = lab.place
    cut = gzip.compress(random.Random(0).randbytes(2**16))[:-100]
    folder = place.files("other")
    (folder / "cut.gz").write_bytes(cut)
    lab.run("fetch", "data", folder)
    (lab.folder / "rejected.zip").write_bytes(b"PK\x03\x04" + cut)
    _, sha256 = artifacts.upload(place.storage, lab.folder / "rejected.zip")
    with place.sessions.begin() as db:
        db.add(Upload(name="rejected.zip", sha256=sha256, size=1))
    findings = forget.find(place.sessions, place.storage, None, [GONE])
    assert "uploaded archive rejected.zip may hold a post" in " ".join(f.what for f in findings.uploads)
    where = "cut.gz in the artifact data of the run 'fetch' may hold a post"
    assert [where in finding.what for finding in findings.by_hand] == [True]
    forget.forget(place.sessions, place.storage, findings, [GONE])
    assert sha256 not in {digest for digest, _ in place.storage.objects()}
    left = forget.remaining(place.sessions, place.storage, None, [GONE])
    assert [where in what for what in left] == [True]
