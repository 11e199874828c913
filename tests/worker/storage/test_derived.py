"""What depends on a thing is listed before it is deleted; the deletion does with each what the list says."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import event, select

from backend.store.accounts import users
from backend.store.accounts.tables import Audit, LoginAttempt, Token, User
from backend.store.base import Base
from backend.store.registry import artifacts
from backend.store.registry.tables import Artifact, Dataset, DatasetRead, DatasetVersion, Model, Upload
from backend.store.reports.tables import Ablation
from backend.store.runs.tables import Run, SavedView
from backend.store.serving.tables import Engagement, Feedback, Prediction
from backend.store.upkeep import gc
from backend.store.upkeep.derived import _STATEMENTS, derived
from backend.store.upkeep.tables import Removal
from tests.worker.storage.lab import Lab
from vise_client.client import ViseClient
from vise_client.errors import ApiError
from vise_client.schemas.accounts import Role
from vise_client.schemas.derived import DeletionEffect, Derived

KINDS: dict[str, type[Base]] = {
    "run": Run,
    "artifact": Artifact,
    "model": Model,
    "data set": Dataset,
    "version": DatasetVersion,
    "data set version": DatasetVersion,
    "uploaded archive": Upload,
    "prediction": Prediction,
    "engagement prediction": Engagement,
    "label": Feedback,
    "ablation": Ablation,
    "saved view": SavedView,
    "api token": Token,
    "session token": Token,
    "sign-in attempt": LoginAttempt,
    "removal": Removal,
    "audit log entry": Audit,
}
ANN = "ann@example.org"
LABEL = {"task": "t", "label": "a", "predicted": "a", "model": "m", "sha256": "0" * 64, "picture": b"x"}


class Filled:
    """The lab with an uploaded data set that its chain of runs reads, and a user who has made something of each kind."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.place = lab, lab.place
        lab.place.settings.__dict__["keep_archives"] = True
        self.fetch = lab.run("fetch", "data", lab.place.files("a file of the data"))
        self.copy = lab.run("fetch", "data", lab.place.files("a file of other data"))
        archive = lab.place.files("an archive") / "an-archive"
        _, sha256 = artifacts.upload(lab.place.storage, archive)
        with lab.place.sessions.begin() as db:
            self.user = users.create_user(db, ANN, None, Role.editor)
            db.flush()
            self.token, _ = users.issue_token(db, self.user, "api", lifetime=None)
            upload = Upload(name="up.zip", sha256=sha256, size=10, created_by=self.user.id)
            dataset = Dataset(name="faces", kind="posts", run_id=self.fetch, source="up.zip")
            db.add_all([upload, dataset])
            db.flush()
            db.get_one(Run, self.fetch).inputs = {"archive": {"upload": str(upload.id)}}
            version = DatasetVersion(dataset_id=dataset.id, number=1, sha256="1" * 64, files=1, size=1)
            version.run_id = self.fetch
            read = DatasetRead(run_id=lab.ingest, role="source", dataset_id=dataset.id, name="faces")
            db.add_all([version, read])
            for run in (lab.ingest, lab.other):
                db.get_one(Run, run).created_by = self.user.id
            self.model = db.scalars(select(Model.id)).one()
            checkpoint = db.scalars(select(Artifact.id).where(Artifact.name == "checkpoint")).one()
            mine = Prediction(model_id=self.model, created_by=self.user.id, state="succeeded", options={})
            db.add(mine)
            db.flush()
            db.add_all(
                [
                    Engagement(checkpoint_id=checkpoint, state="queued", options={}, created_by=self.user.id),
                    Engagement(checkpoint_id=checkpoint, state="queued", options={}),
                    Ablation(
                        name="a", kind="pretext", baseline_id=lab.other, changes=[], created_by=self.user.id
                    ),
                    Feedback(prediction_id=mine.id, synthetic=True, **LABEL),
                    SavedView(owner_id=self.user.id, name="view", state={}),
                    LoginAttempt(email=ANN, address="127.0.0.1"),
                    Removal(posts=["1"], state="listed", created_by=self.user.id),
                    Audit(user_id=self.user.id, email=ANN, action="created", kind="run", target_id=lab.other),
                    Audit(email="x", action="created", kind="user", target=ANN, target_id=self.user.id),
                    Audit(email="x", action="created", kind="model", target_id=self.model),
                    Audit(email="x", action="created", kind="data set", target_id=dataset.id),
                ]
            )
            self.dataset, self.user_id = dataset.id, self.user.id

    def rows(self) -> set[tuple[type[Base], UUID]]:
        with self.place.sessions() as db:
            return {(table, row) for table in {User, *KINDS.values()} for row in db.scalars(select(table.id))}  # type: ignore[attr-defined]

    def objects_of(self, items: Derived) -> set[str]:
        """Digests of the files of all artifacts and archives that are listed as deleted."""
        ids = [item.id for item in items.items if item.effect is DeletionEffect.deleted]
        with self.place.sessions() as db:
            manifests = db.scalars(select(Artifact.manifest).where(Artifact.id.in_(ids))).all()
            archives = db.scalars(select(Upload.sha256).where(Upload.id.in_(ids))).all()
        return {row["sha256"] for manifest in manifests for row in manifest} | set(archives)

    def stored(self) -> set[str]:
        settings = self.place.settings.model_copy(update={"gc_grace_seconds": 0})
        for _ in range(2):
            gc.remove(self.place.sessions, self.place.storage, settings)
        return {sha256 for sha256, _ in self.place.storage.objects()}


@pytest.fixture
def filled(lab: Lab) -> Filled:
    return Filled(lab)


def ids(listed: Derived, *effects: DeletionEffect) -> set[tuple[type[Base], UUID]]:
    return {(KINDS[item.kind], item.id) for item in listed.items if item.effect in effects and item.id}


def check(filled: Filled, listed: Derived, thing: tuple[type[Base], UUID], delete) -> None:
    """Delete, and compare every row and object with what the list said."""
    before = filled.rows()
    assert {item.kind for item in listed.items if item.id} <= KINDS.keys()
    assert not listed.blocked
    assert sum(count.count for count in listed.counts) == listed.total == len(listed.items)
    gone = filled.objects_of(listed)
    assert gone <= {sha256 for sha256, _ in filled.place.storage.objects()}
    delete()
    after = filled.rows()
    assert before - after == ids(listed, DeletionEffect.deleted) | {thing}
    assert ids(listed, DeletionEffect.kept, DeletionEffect.marked) <= after
    assert gone & filled.stored() == set()


def test_a_run_goes_as_listed(filled: Filled, vise: ViseClient) -> None:
    run = filled.lab.other
    with filled.place.sessions.begin() as db:
        artifact = db.scalars(select(Artifact.id).where(Artifact.run_id == run)).one()
        db.add(Engagement(checkpoint_id=artifact, state="queued", options={}))
    listed = vise.run_derived(run)
    assert {(count.effect, count.label) for count in listed.counts} == {
        (DeletionEffect.deleted, "1 artifact"),
        (DeletionEffect.deleted, "1 ablation"),
        (DeletionEffect.deleted, "1 engagement prediction"),
        (DeletionEffect.deleted, "1 log"),
        (DeletionEffect.kept, "1 audit log entry"),
    }
    assert next(item for item in listed.items if item.kind == "artifact").owner == ANN
    check(filled, listed, (Run, run), lambda: vise.delete_run(run))


def test_what_reads_from_a_run_blocks_its_deletion(filled: Filled, vise: ViseClient) -> None:
    lab = filled.lab
    listed = vise.run_derived(lab.ingest)
    assert listed.blocked
    runs = {lab.label, lab.explore, lab.pretrain, lab.evaluate}
    assert ids(listed, DeletionEffect.blocks) == {*((Run, run) for run in runs), (Model, filled.model)}
    assert vise.run_derived(filled.fetch).items[0].kind == "data set"
    with pytest.raises(ApiError, match="reads from this run"):
        vise.delete_run(lab.ingest)


def test_a_data_set_goes_as_listed_and_what_read_it_is_marked(filled: Filled, vise: ViseClient) -> None:
    lab = filled.lab
    listed = vise.dataset_derived(filled.dataset)
    chain = {lab.ingest, lab.label, lab.explore, lab.pretrain, lab.evaluate}
    assert ids(listed, DeletionEffect.marked) == {*((Run, run) for run in chain), (Model, filled.model)}
    kept = {
        item.name for item in listed.items if (item.effect, item.kind) == (DeletionEffect.kept, "artifact")
    }
    assert kept == {"posts of ingest", "labels of label", "explorer of explore", "checkpoint of pretrain",
                    "predictor of evaluate"}  # fmt: skip
    assert {item.name for item in listed.items if item.effect is DeletionEffect.deleted} == {
        "version 1", "up.zip", "data of fetch",
    }  # fmt: skip
    assert vise.run(lab.evaluate).deleted_inputs == vise.model(filled.model).deleted_inputs == []
    check(filled, listed, (Dataset, filled.dataset), lambda: vise.delete_dataset(filled.dataset))
    for run in chain:
        assert vise.run(run).deleted_inputs == ["faces"]
    assert vise.model(filled.model).deleted_inputs == ["faces"]
    assert [model.deleted_inputs for model in vise.models()] == [["faces"]]
    assert vise.run(lab.other).deleted_inputs == []


def test_an_unfinished_reader_blocks_and_a_shared_archive_stays(filled: Filled, vise: ViseClient) -> None:
    with filled.place.sessions.begin() as db:
        db.get_one(Run, filled.lab.ingest).state = "running"
        db.get_one(Run, filled.copy).inputs = db.get_one(Run, filled.fetch).inputs
    listed = vise.dataset_derived(filled.dataset)
    assert ids(listed, DeletionEffect.blocks) == {(Run, filled.lab.ingest)}
    with pytest.raises(ApiError, match="unfinished run 'ingest'"):
        vise.delete_dataset(filled.dataset)
    filled.place.change(filled.lab.ingest, state="failed")
    listed = vise.dataset_derived(filled.dataset)
    assert next(i.effect for i in listed.items if i.kind == "uploaded archive") is DeletionEffect.kept
    check(filled, listed, (Dataset, filled.dataset), lambda: vise.delete_dataset(filled.dataset))


def test_the_import_of_a_deleted_data_set_is_cancelled(filled: Filled, vise: ViseClient) -> None:
    filled.place.change(filled.fetch, state="queued")
    vise.delete_dataset(filled.dataset)
    assert vise.run(filled.fetch).state == "cancelled"


def test_a_model_goes_as_listed(filled: Filled, vise: ViseClient) -> None:
    listed = vise.model_derived(filled.model)
    assert {(count.effect, count.label) for count in listed.counts} == {
        (DeletionEffect.deleted, "3 predictions"),
        (DeletionEffect.kept, "3 labels"),
        (DeletionEffect.kept, "1 run"),
        (DeletionEffect.kept, "1 artifact"),
        (DeletionEffect.kept, "1 audit log entry"),
    }
    check(filled, listed, (Model, filled.model), lambda: vise.delete_model(filled.model))


def test_a_user_goes_as_listed(filled: Filled, vise: ViseClient) -> None:
    listed = vise.user_derived(filled.user_id)
    deleted = {item.kind for item in listed.items if item.effect is DeletionEffect.deleted}
    assert deleted == {
        "api token",
        "saved view",
        "prediction",
        "engagement prediction",
        "label",
        "sign-in attempt",
    }
    marked = {item.kind for item in listed.items if item.effect is DeletionEffect.marked}
    assert marked == {"run", "ablation", "uploaded archive", "removal", "audit log entry"}
    owned = [
        (KINDS[i.kind], i.id)
        for i in listed.items
        if i.effect is DeletionEffect.marked and i.kind != "audit log entry"
    ]
    entries = [i.id for i in listed.items if i.kind == "audit log entry"]
    check(filled, listed, (User, filled.user_id), lambda: vise.delete_user(filled.user_id))
    with filled.place.sessions() as db:
        for table, row_id in owned:
            assert db.get_one(table, row_id).created_by is None  # type: ignore[attr-defined]
        for entry in (db.get_one(Audit, row_id) for row_id in entries):
            assert ANN not in (entry.email, entry.target)


def test_only_who_may_delete_it_lists_it_and_private_predictions_are_not_shown(
    filled: Filled, vise: ViseClient
) -> None:
    with ViseClient(vise.url, filled.token) as ann:
        for call, thing in (
            (ann.dataset_derived, filled.dataset),
            (ann.model_derived, filled.model),
            (ann.user_derived, filled.user_id),
            (ann.run_derived, filled.lab.pretrain),
        ):
            with pytest.raises(ApiError) as refused:
                call(thing)
            assert refused.value.status == 403
        filled.place.change(filled.lab.pretrain, created_by=filled.user_id)
        shown = [
            item for item in ann.run_derived(filled.lab.pretrain).items if item.kind.startswith("engagement")
        ]
        assert sorted((item.id is None, item.owner) for item in shown) == [(False, ANN), (True, None)]
    shown = [i for i in vise.run_derived(filled.lab.pretrain).items if i.kind.startswith("engagement")]
    assert all(item.id for item in shown)


def test_the_list_is_paged_and_takes_three_statements(filled: Filled) -> None:
    statements: list[str] = []
    event.listen(filled.place.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with filled.place.sessions() as db:
        whole = derived(db, "data set", filled.dataset, None)
        assert len(statements) == 3
        pages, offset = [], 0
        while offset is not None:
            page = derived(db, "data set", filled.dataset, None, offset=offset, limit=4)
            pages += page.items
            offset = page.next_offset
    assert pages == whole.items
    assert page.counts == whole.counts


HANDLED = {
    "run_params": "with the log",
    "run_events": "with the log",
    "run_logs": "with the log",
    "metric_chunks": "with the log",
    "metric_latest": "with the log",
    "dataset_reads": "the mark of the runs that it belongs to",
    "request_keys": "expire within a day",
    "upload_reservations": "expire within minutes",
    "cleared_caches": "names of workers",
    "runs": "listed",
    "datasets": "listed",
}


def references() -> Iterator[tuple[str, str]]:
    """(table, table that it refers to) of all foreign keys to what can be listed."""
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            yield table.name, key.column.table.name


def test_every_table_that_refers_to_a_listed_thing_is_listed_or_has_a_reason() -> None:
    things = {"run": "runs", "data set": "datasets", "model": "models", "user": "users"}
    for thing, name in things.items():
        statement = " ".join(_STATEMENTS[thing])
        for table, target in references():
            if target == name:
                assert f"FROM {table} " in statement or table in HANDLED, (thing, table)


def test_a_thing_that_is_not_there_is_404(vise: ViseClient) -> None:
    for call in (vise.run_derived, vise.dataset_derived, vise.model_derived, vise.user_derived):
        with pytest.raises(ApiError) as error:
            call(UUID(int=1))
        assert error.value.status == 404
