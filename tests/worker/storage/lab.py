"""A chain of runs from an archive to a model, in which one post is to be removed."""

import hashlib
import json
import zipfile
from pathlib import Path
from uuid import UUID

import pyarrow as pa
from sqlalchemy import func

from backend.store.registry import artifacts
from backend.store.registry.tables import Dataset, Model, Upload
from backend.store.runs.tables import Run, RunLog
from backend.store.serving.tables import Feedback, Prediction
from vise_core.formats.labels import LabelFacts, write_label_facts, write_label_table
from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardWriter, shard_name, write_index

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
