"""Tables and figures over HTTP, from results in the database."""

import sys
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from backend.api.reports import tables_and_figures
from backend.store.database import connect, session_factory
from backend.store.runs.tables import Run
from vise_client.schemas.launch import RunCreate

sys.path.insert(0, str(Path(__file__).parents[3] / "vise_core" / "report"))
from results import evaluation

from backend.store.runs.create import create_run

R = "/api/v1/reports"


@pytest.fixture
def add(settings, tokens):
    """Put a succeeded evaluation into the database."""
    engine = connect(settings.database_url)
    sessions = session_factory(engine)

    def put(
        method: str, values: list[float], tags: tuple[str, ...] = (), parent: UUID | None = None, **facts
    ) -> UUID:
        with sessions.begin() as db:
            made = create_run(
                db,
                RunCreate(stage="ingest", spec={"source": {"kind": "sample"}}, tags=list(tags)),
                None,
            )
            run = db.get(Run, made.id)
            run.stage, run.state, run.parent_id = "evaluate", "succeeded", parent
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


def test_a_result_of_another_version_is_left_out_and_the_others_are_read(
    editor: TestClient, add, settings
) -> None:
    add("IN-Sup", [12.5, 13.5])
    other = add("Random Init", [1.0, 2.0])
    engine = connect(settings.database_url)
    with session_factory(engine).begin() as db:
        run = db.get(Run, other)
        run.result = {name: value for name, value in run.result.items() if name != "data"}
    engine.dispose()
    for path in (*(f"{R}/{entry['name']}/data" for entry in editor.get(R).json()), f"{R}/results/data"):
        assert editor.get(path).status_code == 200, path
    table = editor.get(f"{R}/table6").text
    assert "13.00 ± 0.71" in table
    assert "1.50 ± 0.71" not in table
    assert editor.get(f"{R}/choices").json()["methods"] == ["IN-Sup"]
    paired = editor.get(f"{R}/paired", params={"a": other, "b": other})
    assert paired.status_code == 422
    assert "another version" in paired.text


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


def test_a_recipe_s_tag_is_its_runs_tag_too(editor: TestClient, add) -> None:
    recipe = editor.post("/api/v1/recipes/runs", json={"recipe": "sample", "tags": ["mine"]}).json()["id"]
    add("IN-Sup", [10.0], parent=UUID(recipe))
    add("IN-Sup", [20.0])
    assert "10.00" in editor.get(f"{R}/table6", params={"tag": "mine"}).text
    assert editor.get(f"{R}/choices").json()["tags"] == ["mine"]


def test_the_paired_test_is_a_minus_b(editor: TestClient, add) -> None:
    a, b = add("A", [44.0, 46.0, 43.0]), add("B", [43.0, 45.5, 41.0])
    response = editor.get(f"{R}/paired", params={"a": str(a), "b": str(b)}).json()
    assert response["differences"] == [1.0, 0.5, 2.0]
    assert 0 < response["p"] < response["p_corrected"] < 1


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


def test_reports_are_narrowed_to_a_task_protocol_backbone_method_and_kind_of_data(
    editor: TestClient, add
) -> None:
    add("IN-Sup", [10.0])
    add("IN-Sup", [20.0], task="Politics")
    add("IN-Sup", [30.0], backbone="resnet18")
    add("VisE-1.2M", [40.0], synthetic=True)
    table = editor.get(f"{R}/table6/data", params={"task": "Politics"}).json()
    assert {column["task"] for column in table["columns"]} == {"Politics"}
    rows = editor.get(f"{R}/table6/data", params={"backbone": "resnet18"}).json()["rows"]
    assert [row["method"] for row in rows] == ["IN-Sup"]
    rows = editor.get(f"{R}/table6/data", params={"method": "VisE-1.2M"}).json()["rows"]
    assert {row["method"] for row in rows} == {"VisE-1.2M"}
    for asked, expected in ((True, {"VisE-1.2M"}), (False, {"IN-Sup"})):
        rows = editor.get(f"{R}/table6/data", params={"synthetic": asked}).json()["rows"]
        assert {row["method"] for row in rows if any(cell["ours"] for cell in row["cells"])} == expected
    panels = editor.get(f"{R}/figure3/data", params={"task": "Politics", "protocol": "linear"}).json()[
        "panels"
    ]
    assert [(panel["task"], panel["protocol"]) for panel in panels] == [("Politics", "linear")]
    csv = editor.get(f"{R}/table6", params={"task": "Politics", "format": "csv"}).text
    assert "20.0" in csv
    assert "10.0" not in csv


def test_what_can_be_chosen_is_what_was_evaluated(editor: TestClient, add) -> None:
    add("B", [10.0], tags=("first",))
    add("A", [20.0], task="Politics", backbone="resnet18", protocol="fine-tuned", tags=("second", "first"))
    assert editor.get(f"{R}/choices").json() == {
        "tasks": ["Politics", "UnbiasedEmotion"],
        "protocols": ["fine-tuned", "linear"],
        "backbones": ["resnet18", "resnet50"],
        "methods": ["A", "B"],
        "tags": ["first", "second"],
    }


def test_the_table_of_all_has_the_run_behind_each_number(editor: TestClient, add) -> None:
    add("IN-Sup", [1.0, 2.0], weights="in-sup")
    reference = add("IN-Sup", [10.0, 12.0], weights="in-sup")
    vise = add("VisE", [20.0, 24.0], synthetic=True)
    table = editor.get(f"{R}/results/data").json()
    cells = {row["method"]: row["cells"][0] for row in table["rows"]}
    assert cells["IN-Sup"]["run"] == str(reference)
    assert cells["VisE"] == {
        "run": str(vise),
        "value": "22.00 ± 2.83 (n=2)",
        "difference": "↑ 11.00",
        "marks": "s",
        "best": True,
    }
    assert (
        editor.get(f"{R}/results/data", params={"synthetic": False}).json()["rows"][0]["method"] == "IN-Sup"
    )
    assert editor.get(f"{R}/results/data", params={"task": "nothing"}).status_code == 404


def test_a_newer_result_of_other_data_hides_no_older_one(editor: TestClient, add) -> None:
    old = add("IN-Sup", [10.0, 12.0], task="folder", data="cats")
    new = add("IN-Sup", [80.0, 82.0], task="folder", data="dogs")
    table = editor.get(f"{R}/results/data").json()
    (row,) = table["rows"]
    assert [cell["run"] for cell in row["cells"]] == [str(old), str(new)]
    assert len(set(table["columns"])) == 2
    for format in ("markdown", "csv", "latex"):
        text = editor.get(f"{R}/results", params={"format": format}).text
        assert "other images (100 each) than folder" in text
        assert "11.00" in text or "11.0" in text
    # The same data again.
    again = add("IN-Sup", [20.0, 22.0], task="folder", data="cats")
    (row,) = editor.get(f"{R}/results/data").json()["rows"]
    assert {cell["run"] for cell in row["cells"]} == {str(new), str(again)}


def test_the_paired_test_names_the_splits_that_differ(editor: TestClient, add) -> None:
    a, b = add("A", [44.0, 46.0, 43.0]), add("B", [43.0, 45.5, 41.0], draw="seed 1")
    refused = editor.get(f"{R}/paired", params={"a": str(a), "b": str(b)})
    assert refused.status_code == 422
    assert "the same splits: splits 0 to 2: train, val and test images differ" in refused.text


def test_real_data_stands_before_newer_generated_data(editor: TestClient, add) -> None:
    real = add("IN-Sup", [10.0])
    add("IN-Sup", [20.0], synthetic=True)
    (row,) = editor.get(f"{R}/results/data").json()["rows"]
    assert row["cells"][0]["run"] == str(real)


def test_a_figure_of_predictions_that_nobody_made_says_so(editor: TestClient) -> None:
    data = editor.get(f"{R}/figure7/data").json()
    assert data["rows"] == []
    assert not any(column["run"] for column in data["columns"])
    assert editor.get(f"{R}/figure7").content.startswith(b"\x89PNG")
    assert "not run" in editor.get(f"{R}/figure8", params={"format": "svg"}).text


@pytest.mark.parametrize("path", ["table6", "figure3", "figure7", "figure3/data", "results", "results/data"])
def test_nothing_is_drawn_inside_a_transaction(editor: TestClient, add, monkeypatch, path: str) -> None:
    """The server ends an idle transaction after 15 s; drawing takes longer on a busy machine."""
    add("IN-Sup", [12.5, 13.5])
    seen = []
    for name in ("report", "figure", "render_table", "evaluation_table"):
        original = getattr(tables_and_figures, name)

        def watched(*args, original=original, **kwargs):
            seen.append(editor.app.state.engine.pool.checkedout())
            return original(*args, **kwargs)

        monkeypatch.setattr(tables_and_figures, name, watched)
    assert editor.get(f"{R}/{path}").status_code == 200
    assert seen == [0]
