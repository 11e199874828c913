"""Versions of data sets: a run records what it read by its digest, not by a name."""

import shutil
from typing import Any

from backend.api.app import PREFIX
from tests.backend.api.registry.versions_lab import NEVER, D, Lab, admin, db, lab, read_of, write_posts
from vise_core.files.hashing import tree_sha256

__all__ = ["admin", "db", "lab"]


def test_a_survey_makes_version_1_and_a_rescan_the_next_one(lab: Lab) -> None:
    before = lab.view()
    assert (before["version"], before["survey"], before["survey_state"]) == (None, None, "queued")
    assert lab.changes()["state"] == "unsurveyed"
    first = lab.surveyed()["version"]
    size = sum(path.stat().st_size for path in lab.folder.rglob("*") if path.is_file())
    assert (first["number"], first["files"], first["bytes"]) == (1, 4, size)
    assert first["sha256"] == tree_sha256(lab.folder)
    assert first["survey"]["images"] == 3
    assert first["survey"]["digest"] == first["sha256"]
    assert lab.changes() | {"first": []} == {
        "state": "same", "version": 1, "added": 0, "changed": 0, "removed": 0, "first": [],
        "sentence": f"The folder {NEVER} 1.",
    }  # fmt: skip

    write_posts(lab.folder, 6)
    (lab.folder / "images/0.png").unlink()
    changes = lab.changes()
    assert (changes["added"], changes["changed"], changes["removed"]) == (3, 3, 1)
    sentence = "The folder has changed since version 1: 3 files added, 3 changed, 1 removed. Rescan it."
    assert (changes["state"], changes["sentence"]) == ("changed", sentence)
    assert lab.view()["survey"]["images"] == 3, "what the page counts is version 1 until the rescan"

    now = lab.rescan()
    assert (now["version"]["number"], now["survey"]["images"]) == (2, 6)
    assert now["version"]["sha256"] == tree_sha256(lab.folder) != first["sha256"]
    assert any("version 2 of crawl: 6 files" in line for line in now["said"])
    assert [version["number"] for version in lab.versions()] == [2, 1]
    assert lab.versions()[1] == first
    assert lab.changes()["sentence"] == f"The folder {NEVER} 2."


def test_a_rescan_of_the_same_content_makes_no_version_and_says_so(lab: Lab) -> None:
    lab.surveyed()
    # The same bytes with other times: names and times alone cannot tell.
    again = lab.folder.with_name("copy")
    shutil.copytree(lab.folder, again, copy_function=shutil.copyfile)
    shutil.rmtree(lab.folder)
    again.rename(lab.folder)
    assert lab.changes()["changed"] == 4
    now = lab.rescan()
    assert now["version"]["number"] == 1
    assert now["version"]["checked_at"] > now["version"]["created_at"]
    assert "Nothing has changed since version 1 of crawl." in now["said"]
    assert len(lab.versions()) == 1
    assert lab.changes()["state"] == "same", "what was confirmed is not reported again"


def test_content_that_comes_back_is_a_version_of_its_own_and_says_which_it_is_like(lab: Lab) -> None:
    lab.surveyed()
    write_posts(lab.folder, 3, "so sad")
    lab.rescan()
    write_posts(lab.folder, 3)
    assert lab.rescan()["version"]["number"] == 3
    assert [version["same_as"] for version in lab.versions()] == [1, None, None]


def test_a_second_rescan_joins_the_one_under_way(lab: Lab) -> None:
    survey = lab.view()["survey_id"]
    again = lab.api.post(f"{D}/{lab.id}/rescan").json()
    assert again["id"] == survey
    lab.surveyed()
    assert len(lab.versions()) == 1


def test_a_run_records_the_version_that_it_read(lab: Lab) -> None:
    digest = lab.surveyed()["version"]["sha256"]
    run = lab.ingest()
    assert read_of(run) == (None, None, None), "nothing was read yet"
    read = lab.ran(run)["datasets"]["source"]
    assert (read["version"], read["sha256"], read["latest"]) == (1, digest, 1)
    assert (read["name"], read["removed"], read["dataset_id"]) == ("crawl", False, lab.id)
    (version,) = lab.versions()
    assert version["runs"] == 1


def test_a_run_on_a_changed_folder_has_no_version_until_a_rescan_finds_what_it_read(lab: Lab) -> None:
    lab.surveyed()
    write_posts(lab.folder, 5)
    run = lab.ran(lab.ingest())
    digest = tree_sha256(lab.folder)
    assert run["result"]["posts"] == 5
    assert read_of(run) == (None, 1, digest), "never version 1: that has 3 posts"
    assert lab.uses(unknown=True) == [(run["id"], None)]
    assert lab.uses(version=1) == []
    assert lab.rescan()["version"]["number"] == 2
    assert read_of(lab.run(run)) == (2, 1, digest)
    assert lab.uses(version=2) == [(run["id"], 2)]


def test_what_a_run_read_stays_unknown_where_the_folder_has_changed_again(lab: Lab) -> None:
    lab.surveyed()
    write_posts(lab.folder, 5)
    run = lab.ran(lab.ingest())
    write_posts(lab.folder, 6)
    lab.rescan()
    assert read_of(lab.run(run))[:2] == (None, 1)


def test_the_launch_check_warns_of_a_changed_folder_and_does_not_prevent_the_launch(lab: Lab) -> None:
    lab.surveyed()
    draft = {"spec": {"source": {"kind": "jsonl"}}, "inputs": {"source": {"dataset": lab.id}}}

    def check() -> dict[str, Any]:
        lab.changes()
        return lab.api.post(f"{PREFIX}/stages/ingest/validate", json=draft).json()

    assert (check()["warnings"], check()["problems"]) == ([], [])
    (lab.folder / "images/9.png").write_bytes(b"new")
    checked = check()
    (warning,) = checked["warnings"]
    assert warning["field"] == "inputs.source"
    assert warning["message"] == (
        "The folder has changed since version 1: 1 file added, 0 changed, 0 removed. Rescan it."
    )
    assert (checked["problems"], checked["runs"]) == ([], 1)
    (candidate,) = lab.api.get(f"{PREFIX}/inputs", params={"artifact": "source"}).json()
    assert (candidate["name"], candidate["version"]) == ("crawl", 1)


def test_a_folder_that_is_gone_is_told_and_cannot_be_rescanned(lab: Lab) -> None:
    lab.surveyed()
    shutil.rmtree(lab.folder)
    changes = lab.changes()
    assert (changes["state"], "cannot be read" in changes["sentence"]) == ("missing", True)
    refused = lab.api.post(f"{D}/{lab.id}/rescan")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "folder")


def test_seeds_on_two_versions_are_two_experiments(lab: Lab) -> None:
    lab.surveyed()
    runs = [lab.ran(lab.ingest(seed=0))]
    write_posts(lab.folder, 5)
    waiting = lab.ingest(seed=1)
    assert waiting["group_key"] == runs[0]["group_key"], "as far as is known before it has read the folder"
    body = {"stage": "cluster", "inputs": {"posts": {"run": waiting["id"], "artifact": "posts"}}}
    dependant = lab.api.post(f"{PREFIX}/runs", json=body).json()
    lab.api.post(f"{PREFIX}/runs/{dependant['id']}/pause")
    runs.append(lab.ran(waiting))
    runs.append(lab.ran(lab.ingest(seed=2)))
    lab.rescan()
    runs.append(lab.ran(lab.ingest(seed=3)))
    first, *others = (run["group_key"] for run in runs)
    assert len({*others}) == 1, "the same content, whether a rescan has numbered it yet or not"
    assert first not in others
    assert lab.run(dependant)["group_key"] != dependant["group_key"], "what reads from it follows"
    groups = lab.api.get(f"{PREFIX}/runs/groups", params={"query": "stage = ingest"}).json()["items"]
    assert sorted(group["succeeded"] for group in groups) == [1, 3]


def test_the_same_content_under_another_name_is_the_same_experiment(lab: Lab) -> None:
    lab.surveyed()
    first = lab.ran(lab.ingest(seed=0))
    shutil.copytree(lab.folder, lab.settings.data_root / "twin")
    body = {"name": "twin", "kind": "posts", "folder": "twin"}
    twin = lab.api.post(D, json=body).json()["id"]
    lab.work_off(lab.settings)
    run = {
        "stage": "ingest",
        "spec": {"source": {"kind": "jsonl"}, "seed": 1},
        "inputs": {"source": {"dataset": twin}},
    }
    assert lab.api.post(f"{PREFIX}/runs", json=run).json()["group_key"] == first["group_key"]


def test_a_copy_of_a_run_reads_what_is_there_now_and_is_no_replicate_of_it(lab: Lab) -> None:
    lab.surveyed()
    run = lab.ran(lab.ingest())
    write_posts(lab.folder, 5)
    lab.rescan()
    assert lab.run(run)["datasets"]["source"]["latest"] == 2, "the run's page can say so"
    copy = lab.api.post(f"{PREFIX}/runs/{run['id']}/clone", json={}).json()
    assert copy["group_key"] != run["group_key"]
    assert lab.ran(copy)["datasets"]["source"]["version"] == 2
