import csv
import io
from typing import Any

import pytest

from vise_core.errors import BadInput
from vise_core.escaping import latex_escape
from vise_core.report import build_table, render_table
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData, GridPoint, SplitResult

POINT = GridPoint(base_lr=0.1, weight_decay=0.01, val=50, test=50)
PARTS = ("ab" * 32, "cd" * 32, "ef" * 32)
SPLITS = tuple(
    SplitResult(split=i, chosen=POINT, grid=(POINT,), s_lr=0, s_wd=0, sizes=(7, 1, 2), parts=PARTS)
    for i in range(5)
)
DATA = EvaluationData(images=10, images_digest="01" * 32, labels_digest="23" * 32, splits_digest="45" * 32)


def result(method: str, test: float | None, **others: Any) -> EvaluateResult:
    facts = {
        "backbone": "resnet50",
        "weights": "pretrained",
        "task": "Emotion",
        "classes": ("a", "b"),
        "protocol": "linear",
        "features": "augmented",
        "val_mean": 60.0,
        "val_std": 1.5,
        "test_mean": test,
        "test_std": None if test is None else 2.0,
        "splits": SPLITS,
        "batch": 128,
        "data": DATA,
    }
    return EvaluateResult(method=method, **facts | others)


THREE = [
    result("Random", 20.0, weights="random"),
    result("IN-Sup", 70.0, weights="in-sup"),
    result("VisE", 71.25),
]


def test_markdown_shows_mean_std_splits_and_the_difference_from_in_sup():
    lines = render_table(build_table(THREE), "markdown").splitlines()
    assert lines[0] == "| Method | Backbone | Emotion, linear (accuracy) |"
    assert lines[2] == "| Random | ResNet-50 | 20.00 ± 2.00 (n=5) ↓ 50.00 |"
    assert lines[3] == "| IN-Sup | ResNet-50 | 70.00 ± 2.00 (n=5) |"
    assert lines[4] == "| VisE | ResNet-50 | **71.25 ± 2.00 (n=5)** ↑ 1.25 |"
    assert "ddof 1" in lines[6]


def test_another_backbone_is_not_compared_and_a_missing_result_is_a_dash():
    other = result("VisE", 80.0, backbone="resnet18", task="CUB")
    lines = render_table(build_table([*THREE, other]), "markdown").splitlines()
    assert lines[5] == "| VisE | ResNet-18 | – | **80.00 ± 2.00 (n=5)** |"


def test_equal_bests_are_both_bold_and_no_difference_is_told_as_none():
    table = render_table(build_table([THREE[1], result("VisE", 70.0)]), "markdown")
    assert table.count("**70.00 ± 2.00 (n=5)**") == 2
    assert "= 0.00" in table


def test_synthetic_cached_and_val_numbers_are_marked_and_explained():
    marked = result("VisE", None, synthetic=True, features="cached")
    text = render_table(build_table([marked]), "markdown")
    assert "**60.00 ± 1.50 (n=5)** [scv]" in text
    assert "[s] synthetic data" in text
    assert "[c] cached features" in text
    assert "[v] on val" in text
    assert "[s]" not in render_table(build_table(THREE), "markdown")


def test_csv_has_full_precision_and_defuses_formulas():
    rows = list(csv.DictReader(io.StringIO(render_table(build_table([result("=cmd()", 100 / 3)]), "csv"))))
    assert len(rows) == 1
    assert float(rows[0]["mean"]) == 100 / 3
    assert rows[0]["method"] == "'=cmd()"
    assert rows[0]["features"] == "augmented"


def test_latex_is_booktabs_with_every_special_character_escaped():
    text = render_table(build_table([*THREE, result("50%_of $\\alpha & {x}^2~#", 1.0)]), "latex")
    assert r"VisE & ResNet-50 & \textbf{71.25 $\pm$ 2.00 (n=5)} $\uparrow$ 1.25 \\" in text
    assert r"50\%\_of \$\textbackslash{}alpha \& \{x\}\textasciicircum{}2\textasciitilde{}\#" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")


def test_an_escape_is_not_escaped_again():
    assert latex_escape("\\{") == r"\textbackslash{}\{"


def test_two_results_for_one_cell_are_refused():
    with pytest.raises(BadInput, match=r"two results of VisE \(resnet50\) on Emotion, linear"):
        build_table([THREE[2], THREE[2]])


def test_no_results_and_unknown_formats_are_refused():
    with pytest.raises(BadInput, match="no evaluation results"):
        build_table([])
    with pytest.raises(BadInput, match="markdown, csv, latex"):
        render_table(build_table(THREE), "docx")  # type: ignore[arg-type]
