"""A run on another version of a data set is no counterpart of a baseline."""

from uuid import UUID

import pytest

from backend.store.errors import Conflict
from backend.store.registry import dataset_versions
from backend.store.registry.tables import Dataset, DatasetVersion
from backend.store.reports.ablations import require_same_data
from backend.store.runs.create import create_run
from backend.store.runs.lineage_match import Change, chain, matches
from backend.store.runs.tables import Run
from vise_client.schemas.launch import RunCreate

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def dataset(db) -> Dataset:
    made = Dataset(name="photos", kind="images", folder="photos")
    db.add(made)
    db.flush()
    return made


def add_version(db, dataset: Dataset, number: int, sha256: str) -> None:
    db.add(DatasetVersion(dataset_id=dataset.id, number=number, sha256=sha256, files=1, size=1))
    db.flush()


def evaluated(db, dataset: Dataset, epochs: int, sha256: str | None) -> UUID:
    """A succeeded evaluation that read this content; without one, a queued evaluation."""
    body = {
        "stage": "evaluate",
        "spec": {"task": {"kind": "folder"}, "weights": {"kind": "random"}, "epochs": epochs},
        "inputs": {"dataset": {"dataset": dataset.id}},
    }
    run = create_run(db, RunCreate.model_validate(body), None)
    if sha256 is not None:
        dataset_versions.record(db, run.id, {"dataset": sha256})
        run.state = "succeeded"
    db.flush()
    return run.id


def counterparts(db, baseline: UUID, epochs: int) -> list[UUID]:
    return [run.id for run in matches(db, chain(db, baseline), Change("evaluate", {"epochs": epochs}))]


def test_only_runs_on_the_same_content_are_counterparts(db, dataset: Dataset) -> None:
    add_version(db, dataset, 1, ONE)
    baseline = evaluated(db, dataset, 5, ONE)
    same = evaluated(db, dataset, 7, ONE)
    other = evaluated(db, dataset, 7, TWO)
    queued = evaluated(db, dataset, 7, None)
    assert counterparts(db, baseline, 7) == [same, queued]
    add_version(db, dataset, 2, TWO)
    assert counterparts(db, baseline, 7) == [same], "what waits will read version 2"
    assert db.get_one(Run, other).group_key != db.get_one(Run, same).group_key


def test_the_same_content_under_another_name_is_a_counterpart(db, dataset: Dataset) -> None:
    add_version(db, dataset, 1, ONE)
    baseline = evaluated(db, dataset, 5, ONE)
    copy = Dataset(name="copy", kind="images", folder="copy")
    db.add(copy)
    db.flush()
    add_version(db, copy, 1, ONE)
    assert counterparts(db, baseline, 9) == []
    evaluation_id = evaluated(db, copy, 9, ONE)
    assert counterparts(db, baseline, 9) == [evaluation_id]


def test_unknown_content_is_the_same_only_within_one_data_set(db, dataset: Dataset) -> None:
    baseline = evaluated(db, dataset, 5, None)
    same = evaluated(db, dataset, 7, None)
    other = Dataset(name="other", kind="images", folder="other")
    db.add(other)
    db.flush()
    evaluated(db, other, 7, None)
    evaluated(db, dataset, 7, ONE)
    assert counterparts(db, baseline, 7) == [same]


def test_a_point_is_not_launched_on_another_content_than_the_baseline_s(db, dataset: Dataset) -> None:
    add_version(db, dataset, 1, ONE)
    baseline = evaluated(db, dataset, 5, ONE)
    require_same_data(db, chain(db, baseline))
    add_version(db, dataset, 2, TWO)
    with pytest.raises(Conflict, match="other content of the data set 'photos' than its newest version, 2"):
        require_same_data(db, chain(db, baseline))
    db.delete(dataset)
    db.flush()
    with pytest.raises(Conflict, match="'photos', which was removed"):
        require_same_data(db, chain(db, baseline))
