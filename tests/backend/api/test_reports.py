"""Tables and figures over HTTP, from results in the database."""

import sys
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from backend.store import runs
from backend.store.database import connect, session_factory
from backend.store.tables import Run
from vise_client.schemas import RunCreate

sys.path.insert(0, str(Path(__file__).parents[2] / "vise_core" / "report"))
from results import evaluation

R = "/api/v1/reports"


@pytest.fixture
def add(settings, tokens):
    """Put a succeeded evaluation into the database."""
    engine = connect(settings.database_url)
    sessions = session_factory(engine)

    def put(method: str, values: list[float], tags: tuple[str, ...] = (), **facts) -> UUID:
        with sessions.begin() as db:
            made = runs.create_run(
                db,
                RunCreate(stage="ingest", spec={"source": {"kind": "sample"}}, tags=list(tags)),
                None,
            )
            run = db.get(Run, made.id)
            run.stage, run.state = "evaluate", "succeeded"
            run.result = evaluation(method, values, **facts).model_dump(mode="json")
            return run.id

    yield put
    engine.dispose()


def test_the_catalogue_names_tables_and_figures_with_their_formats(editor: TestClient) -> None:
    entries = {e["name"]: e for e in editor.get(R).json()}
    assert entries["table6"]["formats"] == ["markdown", "csv", "latex"]
    assert entries["figure3"]["kind"] == "figure"
    assert "VisE" in entries["table6"]["caption"]


def test_a_table_has_our_numbers_and_the_paper_s_only_when_asked(editor: TestClient, add) -> None:
    add("IN-Sup", [12.5, 13.5])
    text = editor.get(f"{R}/table6").text
    assert "13.00 ± 0.71" in text
    assert "44.36" not in text
    assert "44.36" in editor.get(f"{R}/table6", params={"published": True}).text
    latex = editor.get(f"{R}/table6", params={"format": "latex"})
    assert latex.headers["content-type"].startswith("application/x-tex")
    assert latex.text.count(r"\toprule") == 1


def test_figures_come_as_pictures_and_as_data(editor: TestClient, add) -> None:
    run = add("VisE-1.2M", [40.0, 44.0])
    png = editor.get(f"{R}/figure3")
    assert png.content.startswith(b"\x89PNG")
    svg = editor.get(f"{R}/figure3", params={"format": "svg"})
    assert "sandbox" in svg.headers["content-security-policy"]
    points = editor.get(f"{R}/figure3/data").json()["panels"][0]["points"]
    (vise,) = [p for p in points if p["method"] == "VisE-1.2M" and p["backbone"] == "resnet50"]
    assert vise["mean"] == 42
    assert vise["runs"] == [str(run)]


def test_a_tag_selects_runs(editor: TestClient, add) -> None:
    add("IN-Sup", [10.0], tags=("first",))
    add("IN-Sup", [20.0])
    assert "20.00" in editor.get(f"{R}/table6").text
    assert "10.00" in editor.get(f"{R}/table6", params={"tag": "first"}).text


def test_the_paired_test_is_a_minus_b(editor: TestClient, add) -> None:
    a, b = add("A", [44.0, 46.0, 43.0]), add("B", [43.0, 45.5, 41.0])
    found = editor.get(f"{R}/paired", params={"a": str(a), "b": str(b)}).json()
    assert found["differences"] == [1.0, 0.5, 2.0]
    assert 0 < found["p"] < found["p_corrected"] < 1


def test_wrong_requests_are_told_what_there_is(editor: TestClient, add) -> None:
    assert editor.get(f"{R}/table99").status_code == 404
    refused = editor.get(f"{R}/figure3", params={"format": "latex"})
    assert refused.status_code == 422
    assert "png, svg, pdf" in refused.text
    assert editor.get(f"{R}/results").status_code == 404
    a, b = add("A", [44.0, 46.0]), add("B", [43.0, 45.5], protocol="fine-tuned")
    refused = editor.get(f"{R}/paired", params={"a": str(a), "b": str(b)})
    assert refused.status_code == 422
    assert "same protocol" in refused.text


def test_results_is_one_table_of_the_newest_of_each(editor: TestClient, add) -> None:
    add("IN-Sup", [10.0])
    add("IN-Sup", [20.0])
    add("VisE", [30.0])
    text = editor.get(f"{R}/results").text
    assert text.count("IN-Sup") == 1
    assert "VisE" in text
