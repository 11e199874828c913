"""Clusters over HTTP: search, order, pages, the map and details of an explorer of 5,000 comment clusters."""

import base64
import io
import random
import tarfile
import time
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend.api.app import PREFIX
from backend.store.clusters import explorers
from backend.store.database import connect, session_factory
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact
from backend.store.runs.create import create_run
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run
from tests.pictures import encoded
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.run_states import RunState
from vise_core.formats.explorer import ExplorerSummary, write_explorer_summary, write_explorer_table
from vise_core.specs.posts.fields import REACTIONS

COMMENT_CLUSTERS, REACTION_CLUSTERS = 5000, 128
WORDS = [f"word{n}" for n in range(3000)] + ["love", "😂", "größe"]


def shares(rng: random.Random) -> list[float]:
    drawn = [rng.random() for _ in REACTIONS]
    return [share / sum(drawn) for share in drawn]


def write_explorer(folder: Path) -> dict[str, list[dict]]:
    """As large as the paper's: what the stage writes, with words and sizes from a seeded generator."""
    rng = random.Random(3)
    folder.mkdir()
    (folder / "thumbnails").mkdir()
    tables: dict[str, list[dict]] = {"comments": [], "reactions": []}
    for cluster in range(COMMENT_CLUSTERS):
        name = f"thumbnails/comments-{cluster:05d}.jpg" if cluster < 40 else None
        if name:
            (folder / name).write_bytes(encoded(Image.new("RGB", (128, 64), (200, 30, 90)), "JPEG"))
        weights = sorted((rng.random() for _ in range(12)), reverse=True)
        tables["comments"].append(
            {
                "cluster": cluster,
                "size": rng.randrange(1, 5000),
                "posts": rng.randrange(1, 900),
                "terms": rng.sample(WORDS, 12),
                "weights": weights,
                "comments": [" ".join(rng.choices(WORDS, k=9)) for _ in range(8)],
                "reactions": shares(rng),
                "x": rng.gauss(0, 1),
                "y": rng.gauss(0, 1),
                "sample_posts": ["a", "b"] if name else [],
                "thumbnails": name,
            }
        )
    for cluster in range(REACTION_CLUSTERS):
        row = {"cluster": cluster, "size": rng.randrange(1, 900), "reactions": shares(rng)}
        row |= {"centroid": shares(rng), "x": rng.random(), "y": rng.random(), "sample_posts": []}
        tables["reactions"].append(row | {"thumbnails": None})
    write_explorer_table(folder, "comments", tables["comments"])
    write_explorer_table(folder, "reactions", tables["reactions"])
    spread = {
        "clusters": COMMENT_CLUSTERS,
        "used": COMMENT_CLUSTERS,
        "labels": 9,
        "entropy_bits": 12.1,
        "normalised_entropy": 0.98,
        "perplexity": 4390.0,
        "largest_share": 0.01,
    }
    summary = {
        "synthetic": True,
        "labels": True,
        "shuffled": False,
        "posts": 1234,
        "reaction_names": list(REACTIONS),
        "thumbnail": 64,
        "comments": spread,
        "reactions": spread | {"clusters": REACTION_CLUSTERS, "used": REACTION_CLUSTERS},
        "agreement": None,
        "pairs": [{"first": 7, "second": 3, "weight": 12.0, "expected": 4.0, "lift": 3.0}],
        "map_explained": {"comments": [0.2, 0.1], "reactions": [0.5, 0.3]},
    }
    write_explorer_summary(folder, ExplorerSummary.model_validate(summary))
    return tables


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[dict]]]:
    folder = tmp_path_factory.mktemp("explored") / "explorer"
    return folder, write_explorer(folder)


@pytest.fixture
def explorer(editor: TestClient, settings, written):
    """(address of the explorer, what was written)."""
    folder, tables = written
    storage = Storage(settings.storage_url)
    manifest, digest = artifacts.upload(storage, folder)
    engine = connect(settings.database_url)
    with session_factory(engine).begin() as db:
        made = {}
        for stage, inputs in (
            ("ingest", {}),
            ("cluster", {"posts": ("ingest", "posts")}),
            ("explore", {"posts": ("ingest", "posts"), "clusterer": ("cluster", "clusterer")}),
        ):
            refs = {role: {"run": made[step], "artifact": name} for role, (step, name) in inputs.items()}
            spec = {"source": {"kind": "sample"}} if stage == "ingest" else {}
            order = RunCreate.model_validate({"stage": stage, "inputs": refs, "spec": spec})
            run = create_run(db, order, None)
            db.flush()
            made[stage] = run.id
            claim = claim_run(db, run.id, "test", 60)
            assert claim is not None
            if stage == "explore":
                artifacts.record(db, run.id, claim.token, "explorer", manifest, digest, True)
            finish_run(db, run.id, claim.token, RunState.succeeded, result={})
    engine.dispose()
    listed = editor.get(f"{PREFIX}/explorers").json()
    assert [e["run_id"] for e in listed] == [str(made["explore"])]
    assert listed[0]["clusterer_run_id"] == str(made["cluster"])
    return f"{PREFIX}/explorers/{listed[0]['artifact_id']}", tables


def test_the_largest_come_first_in_pages(editor: TestClient, explorer) -> None:
    address, tables = explorer
    expected = sorted(tables["comments"], key=lambda row: (-row["size"], row["cluster"]))
    seen = []
    for offset in (0, 20):
        page = editor.get(f"{address}/comments", params={"offset": offset, "limit": 20}).json()
        seen += [row["cluster"] for row in page["items"]]
        assert page["total"] == COMMENT_CLUSTERS
    assert seen == [row["cluster"] for row in expected[:40]]
    total = sum(row["size"] for row in tables["comments"])
    first = editor.get(f"{address}/comments", params={"limit": 1}).json()["items"][0]
    assert first["share"] == pytest.approx(expected[0]["size"] / total)


@pytest.mark.parametrize("search", ["love", "LOVE", "word12", "😂", "GRÖSSE", "love word7", "wor"])
def test_a_search_finds_what_has_every_word_best_terms_first(editor: TestClient, explorer, search) -> None:
    address, tables = explorer

    def holds(row: dict, word: str) -> bool:
        return any(word in text.casefold() for text in [*row["terms"], *row["comments"]])

    def weight(row: dict) -> float:
        hits = zip(row["terms"], row["weights"], strict=True)
        return sum(w for term, w in hits if any(word in term.casefold() for word in words))

    words = search.casefold().split()
    expected = [row for row in tables["comments"] if all(holds(row, word) for word in words)]
    page = editor.get(f"{address}/comments", params={"search": search, "limit": 100}).json()
    assert page["total"] == len(expected) > 0
    best = sorted((weight(row) for row in expected), reverse=True)[:100]
    found = [weight(tables["comments"][row["cluster"]]) for row in page["items"]]
    assert found == pytest.approx(best)
    hits = editor.get(f"{address}/comments/map", params={"search": search}).json()["clusters"]
    assert hits == [row["cluster"] for row in expected]


def test_order_by_a_reaction(editor: TestClient, explorer) -> None:
    address, tables = explorer
    page = editor.get(f"{address}/reactions", params={"sort": "-angry", "limit": 5}).json()
    place = REACTIONS.index("angry")
    expected = sorted(tables["reactions"], key=lambda row: -row["reactions"][place])[:5]
    assert [row["cluster"] for row in page["items"]] == [row["cluster"] for row in expected]
    wrong = editor.get(f"{address}/reactions", params={"sort": "beauty"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "sort")


def test_one_cluster_with_pictures_and_its_partners(editor: TestClient, explorer) -> None:
    address, tables = explorer
    response = editor.get(f"{address}/comments/7").json()
    row = tables["comments"][7]
    assert [term for term, _ in response["terms"]] == row["terms"]
    assert response["comments"] == row["comments"]
    assert list(response["reactions"].values()) == pytest.approx(row["reactions"])
    assert response["pairs"] == [{"cluster": 3, "count": 12.0, "lift": 3.0}]
    assert Image.open(io.BytesIO(base64.b64decode(response["thumbnails_jpg"]))).size == (128, 64)
    assert editor.get(f"{address}/reactions/3").json()["pairs"][0]["cluster"] == 7
    assert editor.get(f"{address}/comments/{COMMENT_CLUSTERS}").status_code == 404
    assert editor.get(f"{address}/comments/-1").status_code == 422
    assert editor.get(f"{address}/neither").status_code == 422


def test_the_map_has_every_cluster(editor: TestClient, explorer) -> None:
    address, tables = explorer
    points = editor.get(f"{address}/reactions/map").json()
    assert points["clusters"] == list(range(REACTION_CLUSTERS))
    assert points["x"] == pytest.approx([row["x"] for row in tables["reactions"]])
    name, share = max(zip(REACTIONS, tables["reactions"][5]["reactions"], strict=True), key=lambda p: p[1])
    assert points["titles"][5] == f"{name} {share:.0%}"


def test_five_thousand_clusters_answer_fast_once_they_are_read(editor: TestClient, explorer) -> None:
    address, _ = explorer
    asked = [
        f"{address}/comments?search=love&limit=20",
        f"{address}/comments?offset=4000",
        f"{address}/comments/9",
    ]
    editor.get(f"{address}/comments")
    for query in asked:
        took = []
        for _ in range(5):
            began = time.perf_counter()
            assert editor.get(query).status_code == 200
            took.append(time.perf_counter() - began)
        assert min(took) < 0.5, query


def test_another_artifact_is_no_explorer(editor: TestClient) -> None:
    missing = editor.get(f"{PREFIX}/explorers/01a20000-0000-7000-8000-000000000000")
    assert missing.status_code == 404


def test_the_whole_folder_comes_as_a_tar(editor: TestClient, explorer) -> None:
    address, _ = explorer
    artifact = address.rpartition("/")[2]
    whole = editor.get(f"{PREFIX}/artifacts/{artifact}/content")
    with tarfile.open(fileobj=io.BytesIO(whole.content)) as tar:
        names = tar.getnames()
    listed = editor.get(f"{PREFIX}/artifacts/{artifact}/files").json()
    assert names == [f"explorer/{file['path']}" for file in listed]
    assert "explorer/comments.parquet" in names


def test_no_connection_is_kept_while_the_storage_is_read(
    editor: TestClient, explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = explorer
    explorers._cache.clear()
    stream, kept = Storage.stream, []

    def streaming(storage: Storage, sha256: str):
        kept.append(editor.app.state.engine.pool.checkedout())
        return stream(storage, sha256)

    monkeypatch.setattr(Storage, "stream", streaming)
    for path in (f"{PREFIX}/explorers", address, f"{address}/comments", f"{address}/comments/3"):
        explorers._cache.clear()
        kept.clear()
        assert editor.get(path).status_code == 200
        assert kept, path
        assert set(kept) == {0}, path


def test_an_explorer_that_is_removed_leaves_the_memory_of_the_api(editor: TestClient, explorer) -> None:
    address, _ = explorer
    with editor.app.state.sessions.begin() as db:
        artifact = db.get_one(Artifact, UUID(address.rpartition("/")[2]))
        old, artifact.sha256 = artifact.sha256, "1" * 64
    assert old in explorers._cache
    assert editor.get(address).status_code == 200
    assert set(explorers._cache) == {"1" * 64}
