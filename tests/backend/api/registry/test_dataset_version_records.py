"""What is kept of versions: usage, removal, failed surveys, uploads."""

import builtins
import io
import shutil
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from backend.api.app import PREFIX
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from backend.store.runs.tables import Run
from tests.backend.api.registry.versions_lab import D, Lab, admin, db, lab, write_posts
from vise_client.schemas.run_states import RunState

__all__ = ["admin", "db", "lab"]


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
    for reader in (run, queued):
        lines = lab.api.get(
            f"{PREFIX}/runs/{reader['id']}/logs", params={"search": "has been removed"}
        ).json()
        assert ["data set 'crawl'" in line["message"] for line in lines] == [True]

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
    dataset = lab.view()
    assert (dataset["survey_state"], dataset["survey_reason"]) == ("failed", "the disk is full")
    assert dataset["version"] is None


def test_deleting_the_survey_leaves_the_version_and_its_counts(lab: Lab) -> None:
    survey = lab.surveyed()["survey_id"]
    assert lab.api.delete(f"{PREFIX}/runs/{survey}").status_code == 204
    dataset = lab.view()
    assert (dataset["survey"]["images"], dataset["version"]["run_id"]) == (3, None)


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
