"""Versions of data sets: what a run read is told by its digest, and never by a name alone."""

import builtins
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from PIL import Image

from backend.api.app import PREFIX
from backend.store.database import connect, session_factory
from backend.store.registry import datasets
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from backend.store.runs.tables import Run
from vise_client.schemas.run_states import RunState
from vise_core.files.hashing import tree_sha256

D = f"{PREFIX}/datasets"
NEVER = "has not changed since version"


@pytest.fixture
def admin(api, tokens):
    api.headers["Authorization"] = f"Bearer {tokens['admin']}"
    return api


@pytest.fixture
def db(settings):
    engine = connect(settings.database_url)
    with session_factory(engine)() as session:
        yield session
    engine.dispose()


def write_posts(folder: Path, number: int, words: str = "so lovely") -> None:
    """``number`` posts as JSON lines, each with an image."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for n in range(number):
        Image.new("RGB", (40, 40), (10 * n, 90, 120)).save(folder / "images" / f"{n}.png")
        row = {"id": f"p{n}", "image": f"{n}.png", "comments": [words], "reactions": {"love": 3, "haha": 1}}
        rows.append(json.dumps(row))
    (folder / "posts.jsonl").write_text("\n".join(rows) + "\n")


class Lab:
    """A registered folder of posts with the API around it."""

    def __init__(self, api, settings, work_off: Callable[..., list[UUID]]) -> None:
        self.api, self.settings, self.work_off = api, settings, work_off
        self.folder = settings.data_root / "crawl"
        write_posts(self.folder, 3)
        body = {"name": "crawl", "kind": "posts", "folder": "crawl"}
        self.id = api.post(D, json=body).json()["id"]

    def surveyed(self) -> dict[str, Any]:
        self.work_off(self.settings)
        return self.view()

    def rescan(self) -> dict[str, Any]:
        """The data set after a rescan; says what the survey's log says."""
        run = self.api.post(f"{D}/{self.id}/rescan")
        assert run.status_code == 202, run.text
        self.work_off(self.settings)
        lines = self.api.get(f"{PREFIX}/runs/{run.json()['id']}/logs").json()
        return self.view() | {"said": [line["message"] for line in lines]}

    def view(self) -> dict[str, Any]:
        return self.api.get(f"{D}/{self.id}").json()

    def changes(self) -> dict[str, Any]:
        """Once the look at the folder is done."""
        while (found := self.api.get(f"{D}/{self.id}/changes").json())["state"] == "checking":
            pass
        return found

    def versions(self) -> list[dict[str, Any]]:
        return self.api.get(f"{D}/{self.id}/versions").json()

    def ingest(self, **spec: Any) -> dict[str, Any]:
        """A run that reads the folder, queued."""
        body = {
            "stage": "ingest",
            "spec": {"source": {"kind": "jsonl"}, **spec},
            "inputs": {"source": {"dataset": self.id}},
        }
        made = self.api.post(f"{PREFIX}/runs", json=body)
        assert made.status_code == 201, made.text
        return made.json()

    def ran(self, run: dict[str, Any]) -> dict[str, Any]:
        self.work_off(self.settings)
        return self.run(run)

    def run(self, run: dict[str, Any]) -> dict[str, Any]:
        return self.api.get(f"{PREFIX}/runs/{run['id']}").json()

    def uses(self, **query: Any) -> list[tuple[str, int | None]]:
        rows = self.api.get(f"{D}/{self.id}/runs", params=query).json()["items"]
        return [(row["run_id"], row["version"]) for row in rows]


@pytest.fixture
def lab(admin, settings, work_off) -> Lab:
    return Lab(admin, settings, work_off)


def read_of(run: dict[str, Any]) -> tuple[int | None, int | None, str | None]:
    read = run["datasets"]["source"]
    return read["version"], read["newest"], read["sha256"]


def test_a_survey_makes_version_1_and_a_rescan_the_next_one(lab: Lab) -> None:
    before = lab.view()
    assert (before["version"], before["found"], before["survey_state"]) == (None, None, "queued")
    assert lab.changes()["state"] == "unsurveyed"
    first = lab.surveyed()["version"]
    size = sum(path.stat().st_size for path in lab.folder.rglob("*") if path.is_file())
    assert (first["number"], first["files"], first["bytes"]) == (1, 4, size)
    assert first["sha256"] == tree_sha256(lab.folder)
    assert first["found"]["images"] == 3
    assert first["found"]["digest"] == first["sha256"]
    assert lab.changes() | {"first": []} == {
        "state": "same", "version": 1, "added": 0, "changed": 0, "removed": 0, "first": [],
        "sentence": f"The folder {NEVER} 1.",
    }  # fmt: skip

    write_posts(lab.folder, 6)
    (lab.folder / "images/0.png").unlink()
    found = lab.changes()
    assert (found["added"], found["changed"], found["removed"]) == (3, 3, 1)
    sentence = "The folder has changed since version 1: 3 files added, 3 changed, 1 removed. Rescan it."
    assert (found["state"], found["sentence"]) == ("changed", sentence)
    assert lab.view()["found"]["images"] == 3, "what the page counts is version 1 until the rescan"

    now = lab.rescan()
    assert (now["version"]["number"], now["found"]["images"]) == (2, 6)
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
    found = check()
    (warning,) = found["warnings"]
    assert warning["field"] == "inputs.source"
    assert warning["message"] == (
        "The folder has changed since version 1: 1 file added, 0 changed, 0 removed. Rescan it."
    )
    assert (found["problems"], found["runs"]) == ([], 1)
    (candidate,) = lab.api.get(f"{PREFIX}/inputs", params={"artifact": "source"}).json()
    assert (candidate["name"], candidate["version"]) == ("crawl", 1)


def test_a_folder_that_is_gone_is_told_and_cannot_be_rescanned(lab: Lab) -> None:
    lab.surveyed()
    shutil.rmtree(lab.folder)
    found = lab.changes()
    assert (found["state"], "cannot be read" in found["sentence"]) == ("missing", True)
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


def test_renaming_and_describing(lab: Lab, admin) -> None:
    other = lab.settings.data_root / "other"
    write_posts(other, 1)
    admin.post(D, json={"name": "other", "kind": "posts", "folder": "other"})
    lab.surveyed()
    run = lab.ran(lab.ingest())
    changed = admin.patch(f"{D}/{lab.id}", json={"name": " posts of May ", "description": "Crawled."})
    assert (changed.status_code, changed.json()["name"]) == (200, "posts of May")
    assert admin.patch(f"{D}/{lab.id}", json={}).json()["description"] == "Crawled."
    taken = admin.patch(f"{D}/{lab.id}", json={"name": "other"})
    assert (taken.status_code, "already" in taken.json()["detail"]) == (409, True)
    assert lab.view()["name"] == "posts of May"
    for wrong in ({"name": ""}, {"name": "  "}, {"title": "x"}, {"name": "x" * 121}):
        assert admin.patch(f"{D}/{lab.id}", json=wrong).status_code == 422, wrong
    assert admin.patch(f"{D}/{uuid4()}", json={"name": "x"}).status_code == 404
    assert lab.run(run)["datasets"]["source"]["name"] == "posts of May"
    entries = admin.get(f"{PREFIX}/audit", params={"kind": "data set", "search": lab.id}).json()["items"]
    assert ["crawl", "posts of May"] in [entry["detail"].get("name") for entry in entries]


def test_usage_is_paged_and_counted(lab: Lab) -> None:
    lab.surveyed()
    made = [lab.ingest(seed=seed) for seed in range(3)]
    lab.work_off(lab.settings)
    queued = lab.ingest(seed=9)
    newest_first = [run["id"] for run in reversed(made)]
    assert [run for run, _ in lab.uses(version=1)] == newest_first
    page = lab.api.get(f"{D}/{lab.id}/runs", params={"limit": 2}).json()
    assert [row["run_id"] for row in page["items"]] == [queued["id"], newest_first[0]]
    assert page["states"] == {"succeeded": 3, "queued": 1}, "the survey is none of them"
    rest = lab.api.get(f"{D}/{lab.id}/runs", params={"cursor": page["next_cursor"]}).json()
    assert ([row["run_id"] for row in rest["items"]], rest["next_cursor"]) == (newest_first[1:], None)
    assert [run for run, _ in lab.uses(state="queued")] == [queued["id"]]
    assert len(lab.uses(surveys=True)) == 5
    assert lab.api.get(f"{D}/{uuid4()}/runs").status_code == 404


def test_removing_a_data_set_leaves_its_runs_readable(lab: Lab) -> None:
    lab.surveyed()
    run = lab.ran(lab.ingest())
    queued = lab.ingest(seed=7)
    refused = lab.api.delete(f"{D}/{lab.id}")
    assert (refused.status_code, queued["name"] in refused.json()["detail"]) == (409, True)
    lab.ran(queued)
    assert lab.api.post(f"{D}/{lab.id}/rescan").status_code == 202
    assert lab.api.delete(f"{D}/{lab.id}").status_code == 204
    assert lab.api.get(f"{D}/{lab.id}").status_code == 404
    assert lab.uses(version=1)[1] == (run["id"], 1), "the list of runs outlives the data set"

    read = lab.run(run)["datasets"]["source"]
    assert (read["name"], read["version"], read["removed"]) == ("crawl", 1, True)
    lineage = lab.api.get(f"{PREFIX}/runs/{run['id']}/lineage").json()
    node = next(node for node in lineage["nodes"] if node["kind"] == "dataset")
    assert (node["name"], node["removed"]) == ("crawl", True)
    assert [edge["artifact"] for edge in lineage["edges"]] == ["data set, version 1"]
    body = {"run_ids": [run["id"], queued["id"]]}
    compared = lab.api.post(f"{PREFIX}/runs/compare", json=body).json()
    value = next(p for p in compared["parameters"] if p["path"] == "inputs.source")
    assert value["values"][0].startswith("crawl (removed), version 1"), value
    assert not value["differs"]
    clone = lab.api.post(f"{PREFIX}/runs/{run['id']}/clone", json={})
    assert clone.status_code == 422
    assert lab.work_off(lab.settings) == [], "its survey was cancelled"


def test_comparing_runs_on_two_versions_tells_the_data_apart(lab: Lab) -> None:
    lab.surveyed()
    first = lab.ran(lab.ingest())
    write_posts(lab.folder, 5)
    second = lab.ran(lab.ingest())
    body = {"run_ids": [first["id"], second["id"]]}
    compared = lab.api.post(f"{PREFIX}/runs/compare", json=body).json()
    value = next(p for p in compared["parameters"] if p["path"] == "inputs.source")
    assert value["differs"]
    assert value["values"][0].startswith("crawl, version 1 (")
    assert value["values"][1].startswith("crawl, version unknown: the folder changed after version 1 (")


def test_a_survey_for_another_kind_makes_no_version(lab: Lab) -> None:
    lab.surveyed()
    write_posts(lab.folder, 5)
    body = {"stage": "survey", "spec": {"kind": "images"}, "inputs": {"dataset": {"dataset": lab.id}}}
    lab.api.post(f"{PREFIX}/runs", json=body)
    lab.work_off(lab.settings)
    assert len(lab.versions()) == 1
    assert lab.changes()["state"] == "changed"


def test_a_survey_that_anybody_launches_counts_as_a_rescan(lab: Lab) -> None:
    lab.surveyed()
    write_posts(lab.folder, 5)
    body = {"stage": "survey", "spec": {"kind": "posts"}, "inputs": {"dataset": {"dataset": lab.id}}}
    lab.api.post(f"{PREFIX}/runs", json=body)
    assert lab.surveyed()["version"]["number"] == 2


def test_a_failed_survey_is_told(lab: Lab, db) -> None:
    survey = lab.view()["survey_id"]
    with db.begin():
        claim = claim_run(db, UUID(survey), "w", 60)
        assert claim is not None
        finish_run(db, claim.run_id, claim.token, RunState.failed, reason="the disk is full")
    found = lab.view()
    assert (found["survey_state"], found["survey_reason"]) == ("failed", "the disk is full")
    assert found["version"] is None


def test_a_version_without_a_listing_is_compared_again_after_a_rescan(lab: Lab, db) -> None:
    lab.surveyed()
    with db.begin():
        datasets.newest_versions(db, [UUID(lab.id)])[UUID(lab.id)].listing = None
    assert lab.changes()["state"] == "unknown"
    assert "Rescan it" in lab.changes()["sentence"]
    now = lab.rescan()
    assert (now["version"]["number"], now["version"]["sha256"]) == (1, tree_sha256(lab.folder))
    assert lab.changes()["state"] == "same"


def test_deleting_the_survey_leaves_the_version_and_its_counts(lab: Lab) -> None:
    survey = lab.surveyed()["survey_id"]
    assert lab.api.delete(f"{PREFIX}/runs/{survey}").status_code == 204
    found = lab.view()
    assert (found["found"]["images"], found["version"]["run_id"]) == (3, None)


def test_an_upload_is_version_1_for_ever(admin, settings, work_off, tmp_path) -> None:
    write_posts(tmp_path / "set", 2)
    archive = shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set")
    query = {"name": "set", "filename": "set.zip", "kind": "posts"}
    made = admin.post(f"{D}/upload", params=query, content=Path(archive).read_bytes()).json()
    assert made["version"] is None
    run = admin.post(
        f"{PREFIX}/runs",
        json={
            "stage": "ingest",
            "spec": {"source": {"kind": "jsonl"}},
            "inputs": {"source": {"dataset": made["id"]}},
        },
    ).json()
    work_off(settings)
    version = admin.get(f"{D}/{made['id']}").json()["version"]
    assert (version["number"], version["files"]) == (1, 3)
    data = next(
        artifact
        for artifact in admin.get(f"{PREFIX}/runs/{made['run_id']}").json()["artifacts"]
        if artifact["name"] == "data"
    )
    assert version["sha256"] == data["sha256"]
    read = admin.get(f"{PREFIX}/runs/{run['id']}").json()["datasets"]["source"]
    assert (read["version"], read["sha256"]) == (1, data["sha256"])
    assert admin.get(f"{D}/{made['id']}/changes").json()["state"] == "immutable"
    assert admin.post(f"{D}/{made['id']}/rescan").status_code == 409
    assert admin.delete(f"{PREFIX}/runs/{made['run_id']}").status_code == 409
    assert admin.delete(f"{D}/{made['id']}").status_code == 204


def test_the_api_opens_no_file_to_see_a_change(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.surveyed()
    opened: list[str] = []
    real = io.open

    def spy(file, *args, **kwargs):
        opened.append(str(file))
        return real(file, *args, **kwargs)

    monkeypatch.setattr(io, "open", spy)
    monkeypatch.setattr(builtins, "open", spy)
    write_posts(lab.folder, 4)
    opened.clear()
    assert lab.changes()["state"] == "changed"
    assert not [path for path in opened if path.startswith(str(lab.folder))]


def test_runs_know_nothing_of_data_sets_that_they_do_not_read(lab: Lab, db) -> None:
    lab.surveyed()
    body = {"stage": "ingest", "spec": {"source": {"kind": "sample", "posts": 10}}}
    run = lab.api.post(f"{PREFIX}/runs", json=body).json()
    assert run["datasets"] == {}
    assert db.get(Run, UUID(run["id"])) is not None
