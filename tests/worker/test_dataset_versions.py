"""What a real worker records of folders that change under it."""

from pathlib import Path
from uuid import UUID

import pytest
from PIL import Image

from backend.store.registry import dataset_versions, datasets, folders
from vise_client.schemas.datasets import DatasetCreate, DatasetVersionView
from vise_client.schemas.run_states import RunState
from vise_core.files.hashing import tree_sha256


def write_images(folder: Path, classes: int) -> None:
    for label in range(classes):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (30 * label, 90, 120)).save(folder / str(label) / "1.png")


class Faces:
    """A registered folder of images, surveyed by a worker."""

    def __init__(self, cluster) -> None:
        self.cluster, self.root = cluster, cluster.folder / "data"
        self.folder = self.root / "faces"
        write_images(self.folder, 5)
        with cluster.sessions.begin() as db:
            body = DatasetCreate(name="faces", kind="images", folder="faces")
            self.id: UUID = datasets.register(db, self.root, body).id
        self.surveyed()

    def surveyed(self) -> None:
        with self.cluster.sessions() as db:
            survey = datasets.get(db, self.id).survey_id
        assert survey is not None
        assert self.cluster.wait_final(survey).state is RunState.succeeded

    def rescan(self) -> None:
        with self.cluster.sessions.begin() as db:
            datasets.rescan(db, self.root, self.id)
        self.surveyed()

    def versions(self) -> list[DatasetVersionView]:
        with self.cluster.sessions() as db:
            return dataset_versions.list_versions(db, self.id)

    def changes(self) -> str:
        with self.cluster.sessions() as db:
            return folders.changes(db, self.root, datasets.get(db, self.id), wait=60).state

    def read_by(self, run_id: UUID) -> tuple[str | None, int | None, int | None]:
        read = self.cluster.view(run_id).datasets["counted"]
        return read.sha256, read.version, read.newest

    def run(self, **spec: object) -> UUID:
        return self.cluster.create(spec=spec, inputs={"counted": {"dataset": str(self.id)}})


@pytest.fixture
def faces(cluster) -> Faces:
    cluster.environment["VISE_DATA_ROOT"] = str(cluster.folder / "data")
    cluster.start("dispatch", name="dispatch")
    cluster.worker("first")
    return Faces(cluster)


def test_a_changed_folder_is_never_attributed_to_the_old_version(faces: Faces) -> None:
    first = tree_sha256(faces.folder)
    (version,) = faces.versions()
    assert (version.number, version.sha256, version.files) == (1, first, 5)
    assert version.survey is not None
    assert len(version.survey.classes) == 5
    assert faces.changes() == "same"
    before = faces.run(steps=1, pause=0)
    assert faces.cluster.wait_final(before).state is RunState.succeeded
    assert faces.read_by(before) == (first, 1, 1)

    write_images(faces.folder, 8)
    second = tree_sha256(faces.folder)
    assert faces.changes() == "changed"
    failed = faces.run(steps=1, pause=0, end="bad input")
    assert faces.cluster.wait_final(failed).state is RunState.failed
    assert faces.read_by(failed) == (second, None, 1), "also a run that fails has read something"

    faces.rescan()
    assert [(v.number, v.sha256) for v in faces.versions()] == [(2, second), (1, first)]
    assert faces.read_by(failed) == (second, 2, 1)
    assert faces.read_by(before) == (first, 1, 1)


def test_a_run_says_what_it_read_while_it_runs_and_a_folder_that_changes_meanwhile_fails_it(
    faces: Faces,
) -> None:
    first = tree_sha256(faces.folder)
    run_id = faces.run(steps=60, pause=0.1)
    faces.cluster.wait(run_id, lambda run: run.latest.get("count", 0) >= 1)
    assert faces.read_by(run_id) == (first, 1, 1)
    (faces.folder / "0/1.png").write_bytes(b"another")
    run = faces.cluster.wait_final(run_id)
    assert (run.state, "0/1.png changed" in (run.reason or "")) == (RunState.failed, True), run.reason
    assert faces.read_by(run_id) == (first, 1, 1)
