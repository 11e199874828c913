"""The paper's tables, filled by our own runs."""

import csv
import io
import statistics
import subprocess
from pathlib import Path

import pytest
from results import evaluation

from vise_core.errors import BadInput
from vise_core.report import NAMES, catalogue, formats, observe_all, report, reproduce, write_all
from vise_core.report.published import published
from vise_core.report.render import render_reproduced
from vise_core.report.reproduced import REPRODUCED, Cell, ReproducedTable, Row

FIVE = [40.0, 42.0, 44.0, 46.0, 48.5]


def table(name: str, *results) -> ReproducedTable:
    return reproduce(name, observe_all((f"run-{i}", result) for i, result in enumerate(results)))


def row(table: ReproducedTable, method: str, backbone: str = "resnet50") -> Row:
    (found,) = [r for r in table.rows if (r.method, r.backbone) == (method, backbone)]
    return found


def cell(table: ReproducedTable, method: str, column: str, backbone: str = "resnet50") -> Cell:
    (found,) = [c for c in row(table, method, backbone).cells if c.column == column]
    return found


def test_numbers_are_mean_and_sample_std_of_the_chosen_points():
    made = table("table6", evaluation("VisE-1.2M", FIVE))
    ours = cell(made, "VisE-1.2M", "emotion_test").ours
    assert ours.mean == pytest.approx(statistics.mean(FIVE))
    assert ours.std == pytest.approx(statistics.stdev(FIVE))
    assert ours.runs == ("run-0",)
    val = cell(made, "VisE-1.2M", "emotion_val").ours
    assert val.mean == pytest.approx(statistics.mean(FIVE) - 1)


@pytest.mark.parametrize("name", REPRODUCED)
def test_without_a_run_every_row_of_the_paper_is_there_and_nothing_is_a_number(name: str):
    made = reproduce(name, [])
    assert [r.label for r in made.rows if r.published]
    assert len(made.rows) == len(published(name).rows)
    assert all(c.ours is None for r in made.rows for c in r.cells)
    text = render_reproduced(made, "markdown")
    assert text.count("not run") == sum(len(r.cells) for r in made.rows)
    assert "0.00" not in text
    assert len(list(csv.reader(io.StringIO(render_reproduced(made, "csv"))))) == 1, "a heading, no numbers"


def test_differences_are_from_in_sup_of_the_same_backbone():
    made = table(
        "table6",
        evaluation("IN-Sup", [50.0]),
        evaluation("VisE-1.2M", [51.25]),
        evaluation("VisE-1.2M", [30.0], backbone="resnext101_32x16d"),
    )
    assert cell(made, "VisE-1.2M", "emotion_test").ours.difference == pytest.approx(1.25)
    assert cell(made, "IN-Sup", "emotion_test").ours.difference is None
    assert cell(made, "VisE-1.2M", "emotion_test", "resnext101_32x16d").ours.difference is None
    lines = render_reproduced(made, "markdown").splitlines()
    assert "| ResNet-50 | VisE-1.2M | 50.25 ↑1.25 | **51.25** ↑1.25 |" in [
        line.partition(" not run")[0].replace("**50.25**", "50.25") for line in lines
    ]


def test_a_method_of_our_own_gets_a_row_below_those_of_its_backbone():
    made = table("table6", evaluation("Mine", [60.0]), evaluation("Mine", [61.0], backbone="resnet18"))
    labels = [(r.backbone, r.label, r.published) for r in made.rows]
    assert labels[labels.index(("resnet50", "VisE-250M", True)) + 1] == ("resnet50", "Mine", False)
    assert labels[-1] == ("resnet18", "Mine", False)
    assert cell(made, "Mine", "emotion_test").published is None


def test_fine_tuned_results_stay_out_of_the_linear_table():
    made = table("table6", evaluation("IN-Sup", [50.0], protocol="fine-tuned"))
    assert not row(made, "IN-Sup").run
    assert cell(
        table("table7", evaluation("IN-Sup", [50.0], protocol="fine-tuned")), "IN-Sup", "emotion_test"
    ).ours


def test_memes_are_told_apart_by_setup():
    memes = {"task": "Hateful Memes", "metric": "roc_auc", "test": False, "secondary": "accuracy"}
    made = table(
        "table6",
        evaluation("CLIP", [0.61], setup="image", **memes),
        evaluation("CLIP", [0.62], setup="image+text-frozen", **memes),
    )
    assert cell(made, "CLIP", "memes_auc").ours.mean == 0.62
    assert cell(made, "CLIP", "memes_accuracy").ours.mean == 55
    assert "0.6200" in render_reproduced(made, "markdown")


def test_of_two_runs_the_newer_counts_and_generated_data_never_hides_real_data():
    newer, older = evaluation("IN-Sup", [50.0], synthetic=True), evaluation("IN-Sup", [40.0])
    assert cell(table("table6", newer, older), "IN-Sup", "emotion_test").ours.mean == 40
    assert cell(table("table6", newer), "IN-Sup", "emotion_test").ours.synthetic
    again = evaluation("IN-Sup", [45.0])
    assert cell(table("table6", again, older), "IN-Sup", "emotion_test").ours.mean == 45


def test_hyper_parameters_are_listed_one_a_split_where_they_differ():
    made = table("table10", evaluation("MoCo-v2", [50.0] * 5))
    text = {c.key: render_reproduced(made, "csv") for c in made.columns}
    assert text
    line = next(
        x for x in render_reproduced(made, "markdown").splitlines() if x.startswith("| ResNet-50 | MoCo-v2")
    )
    assert "| 128 | 0.025 | {0.001, 0.01, 0.001, 0.01, 0.001} | 1.50 ± 0.00 | 0.25 ± 0.00 | not run |" in line


def test_run_times_are_averaged_over_methods_and_our_backbones_get_columns():
    results = [evaluation(m, [50.0], protocol="fine-tuned") for m in ("A", "B")]
    made = table("table9", *results, evaluation("A", [50.0], protocol="fine-tuned", backbone="resnet18"))
    (emotion,) = [r for r in made.rows if r.label == "UnbiasedEmotion"]
    ours = {c.column: c.ours for c in emotion.cells}
    assert ours["resnet50_iteration"].mean == 0.5
    assert ours["resnet50_total"].mean == 2
    assert len(ours["resnet50_iteration"].runs) == 2
    assert made.columns[-1].title == ("ResNet-18", "Total Time (minute)")
    assert emotion.cells[-1].ours.mean == 2
    assert ours["resnet101_total"] is None


def test_published_numbers_stand_in_rows_that_say_so_and_nowhere_else():
    made = table("table2", evaluation("IN-Sup", [12.34], task="CUB-200-2011", metric="top1", test=False))
    assert "62.70" not in render_reproduced(made, "markdown")
    both = render_reproduced(made, "markdown", "both")
    (ours,) = [x for x in both.splitlines() if x.startswith("| ResNet-50 | IN-Sup |")]
    (paper,) = [x for x in both.splitlines() if x.startswith("| ResNet-50 | IN-Sup (published) |")]
    assert "12.34" in ours
    assert "62.70" not in ours
    assert "62.70" in paper
    assert "72.15" in paper
    rows = list(csv.DictReader(io.StringIO(render_reproduced(made, "csv", "both"))))
    assert {r["source"] for r in rows} == {"ours", "published"}
    assert [r["value"] for r in rows if r["source"] == "ours"] == ["12.34"]


def test_synthetic_and_cached_numbers_are_marked():
    made = table("table6", evaluation("VisE-250M", [50.0], synthetic=True, features="cached"))
    assert "[sc]" in render_reproduced(made, "markdown")
    assert "generated, not real" in render_reproduced(made, "latex")


def test_rows_nobody_ran_can_be_left_out():
    made = table("table7", evaluation("IN-Sup", [50.0], protocol="fine-tuned")).only_run()
    assert [r.label for r in made.rows] == ["IN-Sup"]


def test_every_table_compiles_in_latex(tmp_path: Path):
    awkward = evaluation("50%_of {x}^2~# & <b> “é” → \\alpha", [50.0])
    observations = observe_all([("a", evaluation("IN-Sup", FIVE)), ("b", awkward)])
    pages = [
        report(name, observations, "latex", with_published=both).decode()
        for name in REPRODUCED
        for both in (False, True)
    ]
    body = "\n\\clearpage\n".join(r"{\tiny " + page + "}" for page in pages)
    (tmp_path / "all.tex").write_text(
        "\\documentclass[a4paper,landscape]{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000


@pytest.mark.slow
def test_everything_is_written_in_every_format(tmp_path: Path):
    files = list(write_all([("a", evaluation("IN-Sup", FIVE))], tmp_path / "out"))
    assert len(files) == sum(len(formats(name)) for name in NAMES)
    assert all(file.stat().st_size > 100 for file in files)
    assert {entry.name for entry in catalogue()} == set(NAMES)


def test_unknown_names_and_formats_are_refused_with_what_there_is():
    with pytest.raises(BadInput, match="table6"):
        report("table99", [], "markdown")
    with pytest.raises(BadInput, match="png, svg, pdf"):
        report("figure3", [], "latex")


def test_a_variant_of_a_backbone_stands_in_the_rows_of_that_backbone():
    made = table("table6", evaluation("IN-Sup", [50.0]), evaluation("CLIP", [52.0], backbone="clip_resnet50"))
    assert cell(made, "CLIP", "emotion_test").ours.difference == pytest.approx(2)


def test_a_sensitivity_that_is_not_known_is_not_taken_for_one_that_was_not_run() -> None:
    known, lost = (evaluation(name, [60.0, 62.0], backbone="resnet50") for name in ("IN-Sup", "MoCo-v2"))
    splits = tuple(
        split.model_copy(
            update={
                "s_lr": None,
                "grid": (
                    split.grid[0].model_copy(update={"val": None, "test": None, "diverged_at_epoch": 1}),
                    split.grid[1],
                ),
            }
        )
        for split in lost.splits
    )
    lost = lost.model_copy(update={"splits": splits})
    observations = observe_all([("1", known), ("2", lost)])
    tables = [reproduce(name, observations) for name in REPRODUCED]
    (table,) = [
        t for t in tables if any(c.metric == "s_lr" for c in t.columns) and any(r.run for r in t.rows)
    ][:1]
    text = render_reproduced(table.only_run(), "markdown")
    (moco,) = [line for line in text.splitlines() if "MoCo-v2" in line]
    (in_sup,) = [line for line in text.splitlines() if "IN-Sup" in line and line.startswith("|")]
    assert moco.count("unknown") == 1
    assert "[d]" in moco
    assert "unknown" not in in_sup
    assert "unknown: S_lr or S_wd would need a training that diverged" in text
    assert "[d] diverged" in text
    assert "unknown" in render_reproduced(table.only_run(), "latex")
