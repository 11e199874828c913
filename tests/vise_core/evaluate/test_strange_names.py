"""Names of every kind go through every stage that reads a labelled set, and through what the stages leave."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.vise_core.evaluate.specs import small_spec
from vise_core.files.names import printable_name
from vise_core.models.classifier import load_classifier
from vise_core.reporter import LocalReporter
from vise_core.specs.base import Spec
from vise_core.specs.explain import ExplainSpec
from vise_core.specs.integrity import IntegritySpec
from vise_core.specs.qualitative import QualitativeSpec
from vise_core.specs.survey import SurveySpec
from vise_core.stage import run_stage

QUICK = small_spec(base_lrs=(0.0025,), weight_decays=(0.01,), epochs=1)

CLASSES = {"blue": b"caf\xe9", "green": b"caf\xe8", "red": "joy \u202fAM\u3000".encode()}
FILES = [
    b"Screenshot 10.32.07\xe2\x80\xafAM.png", b"a\xc2\xa0b.png", "👩\u200d👧.png".encode(), "caf\u00e9.png".encode(),
    "cafe\u0301.png".encode(), b"latin \xe9.png", b"line\nend.png", b"x\\y.png", rb"latin \xe9.png", b"IMG.PNG",
]  # fmt: skip


@pytest.fixture
def strange(colours: Path, tmp_path: Path) -> Path:
    """The pictures of ``colours`` under other names; the root's own name is strange too."""
    root = Path(os.fsdecode(bytes(tmp_path) + b"/s\xe9t"))
    for name, label in CLASSES.items():
        folder = Path(os.fsdecode(bytes(root) + b"/" + label))
        folder.mkdir(parents=True)
        for number, file in enumerate(FILES):
            shutil.copyfile(colours / name / f"{number}.png", os.fsdecode(bytes(folder) + b"/" + file))
    return root


def run(
    stage: str, spec: Spec, inputs: dict[str, Path], place: Path
) -> tuple[dict, dict[str, Path], list[str]]:
    """(result as JSON holds it, artifacts, log); all of it can be written as UTF-8."""
    reporter = LocalReporter(place / "artifacts")
    result = run_stage(stage, spec, inputs, place / "work", reporter)
    for path in reporter.artifacts.values():
        for file in [path] if path.is_file() else path.rglob("*"):
            str(file.relative_to(place)).encode()
            if file.suffix == ".json":
                json.dumps(json.loads(file.read_bytes()), ensure_ascii=False).encode()
    return json.loads(result.model_dump_json().encode()), reporter.artifacts, reporter.messages


@pytest.mark.slow
def test_strange_names_go_through_every_stage(strange: Path, tmp_path: Path) -> None:
    names = {
        f"{printable_name(os.fsdecode(label))}/{printable_name(os.fsdecode(file))}"
        for label in CLASSES.values()
        for file in FILES
    }
    assert len(names) == 30
    surveyed, _, _ = run("survey", SurveySpec(), {"dataset": strange}, tmp_path / "survey")
    assert surveyed["rejection"] is None
    assert surveyed["classes"] == {printable_name(os.fsdecode(label)): 10 for label in CLASSES.values()}

    result, made, _ = run("evaluate", QUICK, {"dataset": strange}, tmp_path / "evaluate")
    assert result["classes"] == sorted(surveyed["classes"])
    rows = pq.read_table(made["predictions"]).to_pylist()
    assert len(rows) == 6
    assert {row["path"] for row in rows} <= names
    held_out = load_classifier(made["predictor"]).metadata["held_out"]
    assert sorted(held_out) == sorted(row["path"] for row in rows)

    inputs = {"dataset": strange, "predictor": made["predictor"]}
    _, explained, log = run("explain", ExplainSpec(limit=4), inputs, tmp_path / "explain")
    shown = json.loads(explained["explanations"].read_text())["images"]
    assert {row["path"] for row in shown} <= set(held_out)
    assert any("6 images that the predictor was not trained on" in line for line in log)
    run(
        "qualitative",
        QualitativeSpec(),
        inputs | {"predictor_2": made["predictor"]},
        tmp_path / "qualitative",
    )
    run("integrity", IntegritySpec(), {"dataset": strange}, tmp_path / "integrity")
