"""A post is removed from everything that holds it or shows it, others stay, and a scan proves it."""

import hashlib
import json
import zipfile
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pytest
from sqlalchemy import func, select
from typer import Typer
from typer.testing import CliRunner

from backend.commands import forget as command
from backend.settings import settings
from backend.store.errors import Conflict
from backend.store.registry import artifacts
from backend.store.registry.tables import Artifact, Dataset, Model, Upload
from backend.store.runs.tables import Run, RunLog
from backend.store.serving.tables import Feedback, Prediction
from backend.store.upkeep import forget
from vise_core.formats.labels import LabelFacts, write_label_facts, write_label_table
from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardIndex, ShardWriter, shard_name, write_index

GONE, STAYS = "100200300_4", "100200300_5"
IMAGE = f"image of {GONE}".encode()


class Lab:
    """A chain of runs from an archive to a model, in which one post is to be forgotten."""

    def __init__(self, place, tmp_path: Path) -> None:
        self.place, self.folder = place, tmp_path
        self.data_root = tmp_path / "data"
        (self.data_root / "raw").mkdir(parents=True)
        (self.data_root / "raw" / "posts.jsonl").write_text(json.dumps({"id": STAYS}) + "\n")
        self.ingest = self.run("ingest", "posts", self.posts())
        self.label = self.run("label", "labels", self.labels(), self.ingest)
        self.explore = self.run("explore", "explorer", place.files("a comment of the post"), self.ingest)
        self.pretrain = self.run("pretrain", "checkpoint", place.files("weights"), self.label)
        self.evaluate = self.run("evaluate", "predictor", place.files("predictor"), self.pretrain)
        self.other = self.run("explore", "explorer", place.files("another comment"))
        archive = tmp_path / "archive.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("posts.jsonl", json.dumps({"id": GONE, "comments": []}))
        _, sha256 = artifacts.upload(place.storage, archive)
        with place.sessions.begin() as db:
            db.add(Upload(name="archive.zip", sha256=sha256, size=1))
            db.add(Dataset(name="raw", kind="posts", folder="raw"))
            run = db.get_one(Run, self.ingest)
            run.result = {"rejected": [{"post": GONE, "why": f"{GONE}: too long"}], "posts": 2}
            db.add(RunLog(run_id=self.ingest, level="info", message=f"the post {GONE} is odd"))
            artifact = artifacts.of_run(db, self.evaluate, "predictor")
            facts = {"method": "VisE", "task": "t", "backbone": "b", "classes": ["a"], "headline": {}}
            model = Model(name="m", run_id=self.evaluate, artifact_id=artifact.id, synthetic=True, **facts)
            db.add(model)
            db.flush()
            for data in (IMAGE, b"another"):
                asked = Prediction(
                    model_id=model.id, state="succeeded", options={}, sha256=hashlib.sha256(data).hexdigest()
                )
                db.add(asked)
                db.flush()
                given = {"task": "t", "label": "a", "predicted": "a", "model": "m", "sha256": "0" * 64}
                db.add(Feedback(prediction_id=asked.id, picture=b"x", synthetic=True, **given))

    def run(self, stage: str, name: str, folder: Path, source: UUID | None = None) -> UUID:
        run_id, reporter = self.place.held()
        reporter.artifact(name, folder)
        reporter.close()
        self.place.change(
            run_id,
            stage=stage,
            name=stage,
            state="succeeded",
            finished_at=func.now(),
            lease_until=None,
            depends_on=[source] if source else [],
        )
        return run_id

    def posts(self) -> Path:
        folder = self.folder / "posts"
        folder.mkdir()
        writer = ShardWriter(folder / shard_name(0))
        for post_id in (GONE, STAYS):
            writer.write(PostRecord(Post(post_id, ("nice",)), f"image of {post_id}".encode()))
        write_index(folder, [writer.close()], synthetic=True)
        return folder

    def labels(self) -> Path:
        folder = self.folder / "labels"
        folder.mkdir()
        rows = [
            {"post_id": p.id, "key": p.key, "comment_labels": [0], "reaction_label": None}
            for p in (Post(GONE), Post(STAYS))
        ]
        write_label_table(folder / "shard-000000.parquet", pa.Table.from_pylist(rows))
        facts = LabelFacts(comment_clusters=1, reaction_clusters=0, posts=2, synthetic=True, shuffled=False)
        write_label_facts(folder, facts)
        return folder


@pytest.fixture
def lab(place, tmp_path: Path) -> Lab:
    return Lab(place, tmp_path)


def test_a_post_is_listed_removed_and_proven_gone(lab: Lab, monkeypatch, tmp_path: Path) -> None:
    place = lab.place
    app = Typer()
    app.command()(command)
    for name in ("database_url", "broker_url", "storage_url"):
        monkeypatch.setenv(f"VISE_{name.upper()}", str(getattr(place.settings, name)))
    monkeypatch.setenv("VISE_DATA_ROOT", str(lab.data_root))
    settings.cache_clear()

    before = {sha256 for sha256, _ in place.storage.objects()}
    listed = CliRunner().invoke(app, [GONE])
    assert listed.exit_code == 0, (listed.output, listed.exception)
    for line in (
        "rewrite   artifact posts of the run 'ingest'",
        "rewrite   artifact labels of the run 'label'",
        "remove    artifact explorer of the run 'explore'",
        "remove    uploaded archive archive.zip",
        "rewrite   1 results of runs",
        "rewrite   1 log lines",
        "rewrite   1 predictions for a post's image",
        "rewrite   1 labels given to a post's image",
        "mark      the run 'pretrain'",
        "mark      the model 'm'",
    ):
        assert line in listed.output
    assert {sha256 for sha256, _ in place.storage.objects()} == before
    with place.sessions() as db:
        left = forget.remaining(place.sessions, place.storage, lab.data_root, [GONE])
        assert len([what for what in left if what.startswith("the object")]) == 3

    done = CliRunner().invoke(app, [GONE, "--apply"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "no object, row or folder holds the posts" in done.output
    with place.sessions() as db:
        row = artifacts.of_run(db, lab.ingest, "posts")
        artifacts.materialise(place.storage, row.manifest, True, tmp_path / "out")
        assert [r.post.id for r in ShardIndex.open(tmp_path / "out").iterate()] == [STAYS]
        assert (row.sha256, row.files) == (artifacts.describe(tmp_path / "out")[1], 2)
        assert db.get_one(Run, lab.ingest).result == {
            "rejected": [{"post": "[removed]", "why": "[removed]: too long"}],
            "posts": 2,
        }
        explorers = set(db.scalars(select(Artifact.run_id).where(Artifact.name == "explorer")))
        assert explorers == {lab.other}
        assert db.scalars(select(func.count()).select_from(Prediction)).all() == [1]
        assert db.scalars(select(func.count()).select_from(Feedback)).all() == [1]
        notes = set(db.scalars(select(RunLog.message).where(RunLog.run_id == lab.pretrain)))
        assert any("have been removed since" in note for note in notes)
    assert CliRunner().invoke(app, [GONE]).exit_code == 0


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
