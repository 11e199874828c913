"""Only what is comparable is compared: look-alikes stand apart, with the reason, in every table, figure and test."""

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from results import evaluation, sha

from vise_core.errors import BadInput
from vise_core.report import (
    build_table,
    evaluation_table,
    figure,
    observe_all,
    paired_test,
    render_table,
    report,
    reproduce,
)
from vise_core.report.comparable import labels, measured_on, same_data_and_splits
from vise_core.report.render import render_reproduced
from vise_core.specs.evaluate import EvaluateResult

FOUR = [70.0, 71.0, 72.0, 73.0]
CATS, DOGS = ({"task": "folder", "data": name} for name in ("cats", "dogs"))


def digits(data: str, task: str = "folder") -> str:
    """What tells data apart in labels: the first digits of the digest of images and labels."""
    return sha(f"{task} {data}", "labels")[:4]


def test_two_data_sets_of_one_task_name_are_two_columns_in_every_format():
    rows = [evaluation("A", [60.0, 60.0], **CATS), evaluation("B", [90.0, 90.0], **DOGS)]
    cats, dogs = (f"folder (data {digits(name)})" for name in ("cats", "dogs"))
    reason = f"{dogs}: other images (100 each) than {cats}; not compared with each other"
    table = build_table(rows)

    lines = render_table(table, "markdown").splitlines()
    assert lines[0] == f"| Method | Backbone | {cats}, linear (accuracy) | {dogs}, linear (accuracy) |"
    assert lines[2] == "| A | ResNet-50 | **60.00 ± 0.00 (n=2)** | – |"
    assert lines[3] == "| B | ResNet-50 | – | **90.00 ± 0.00 (n=2)** |"
    assert reason in lines[5]

    written = list(csv.DictReader(io.StringIO(render_table(table, "csv"))))
    assert [(row["method"], row["task"], row["note"]) for row in written] == [
        ("A", cats, ""),
        ("B", dogs, reason),
    ]
    assert [row["data_digest"] for row in written] == [
        sha(f"folder {name}", "labels") for name in ("cats", "dogs")
    ]

    latex = render_table(table, "latex")
    assert rf"Method & Backbone & {cats}, linear (accuracy) & {dogs}, linear (accuracy) \\" in latex
    assert reason in latex

    page = evaluation_table([("run a", rows[0]), ("run b", rows[1])])
    assert page.columns == (f"{cats}, linear (accuracy)", f"{dogs}, linear (accuracy)")
    assert [[cell and cell.run for cell in row.cells] for row in page.rows] == [
        ["run a", None],
        [None, "run b"],
    ]
    assert page.data_notes == (reason,)


def test_the_newer_result_of_one_method_hides_no_older_one_of_other_data():
    table = build_table([evaluation("A", [60.0], **CATS), evaluation("A", [90.0], **DOGS)])
    assert len(table.columns) == 2
    assert len(table.cells) == 2


def test_no_difference_is_counted_across_data():
    rows = [evaluation("IN-Sup", [60.0], weights="in-sup", **CATS), evaluation("B", [90.0], **DOGS)]
    assert all(cell.difference is None for cell in build_table(rows).cells.values())
    same = build_table([rows[0], evaluation("B", [90.0], **CATS)])
    assert [cell.difference for cell in same.cells.values()] == [None, 30.0]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (
            evaluation("B", FOUR, task="cats", draw="seed 1"),
            "other splits (splits 0 to 3: train, val and test images differ) than cats",
        ),
        (
            evaluation("B", FOUR[:3], task="cats", draw="three"),
            "other splits (3 splits instead of 4) than cats",
        ),
    ],
)
def test_other_splits_of_the_same_data_are_another_column(other: EvaluateResult, reason: str):
    text = render_table(build_table([evaluation("A", FOUR, task="cats"), other]), "markdown")
    titles = re.findall(r"cats \(([a-z]+) [0-9a-f]{4}\), linear", text.splitlines()[0])
    assert titles == ["splits", "splits"]
    assert reason in text


def test_relabelled_images_and_other_classes_are_named_as_such():
    first = evaluation("A", FOUR)
    data = first.data.model_copy(update={"labels_digest": "9" * 64})
    relabelled = evaluation("B", FOUR).model_copy(update={"data": data})
    assert "the same images with other labels than" in render_table(build_table([first, relabelled]), "csv")
    renamed = relabelled.model_copy(update={"classes": ("a", "c")})
    assert "the same images with other classes than" in render_table(build_table([first, renamed]), "csv")


def test_texts_tell_apart_only_what_reads_them():
    memes = {"task": "Memes", "metric": "roc_auc", "test": False}
    image = evaluation("A", [0.6], **memes)
    texts = [evaluation("A", [0.7], setup="image+text", texts=t, **memes) for t in ("captions", "tags")]
    assert labels([measured_on(one) for one in (image, texts[0])]) == {
        measured_on(one).key: "" for one in (image, texts[0])
    }
    table = build_table([image, *texts])
    assert table.header()[2:] == [
        "Memes, linear (macro ROC AUC)",
        f"Memes (texts {sha('captions')[:4]}), linear, image+text (macro ROC AUC)",
        f"Memes (texts {sha('tags')[:4]}), linear, image+text (macro ROC AUC)",
    ]
    (reason,) = table.data_notes()
    assert "the same images and labels with other texts than" in reason


def test_other_data_under_another_protocol_is_named_too():
    rows = [evaluation("A", [60.0], **CATS), evaluation("A", [90.0], protocol="fine-tuned", **DOGS)]
    assert build_table(rows).header()[2:] == [
        f"folder (data {digits('cats')}), linear (accuracy)",
        f"folder (data {digits('dogs')}), fine-tuned (accuracy)",
    ]


def test_the_paper_s_tables_have_a_column_for_each_data_of_a_task():
    cats, dogs = evaluation("IN-Sup", [50.0], data="cats"), evaluation("VisE-1.2M", [60.0], data="dogs")
    made = reproduce("table6", observe_all([("new", dogs), ("old", cats)]))
    emotion = [column for column in made.columns if column.task == "UnbiasedEmotion"]
    outer = [f"UnbiasedEmotion (data {digits(name, 'UnbiasedEmotion')})" for name in ("dogs", "cats")]
    assert [column.title[0] for column in emotion] == [outer[0], outer[0], outer[1], outer[1]]
    numbers = {
        (row.method, column.title[0], column.title[-1]): cell.ours
        for row in made.rows
        for cell, column in zip(row.cells, made.columns, strict=True)
        if cell.ours is not None
    }
    assert {place: ours.runs for place, ours in numbers.items()} == {
        ("VisE-1.2M", outer[0], emotion[0].title[-1]): ("new",),
        ("VisE-1.2M", outer[0], emotion[1].title[-1]): ("new",),
        ("IN-Sup", outer[1], emotion[0].title[-1]): ("old",),
        ("IN-Sup", outer[1], emotion[1].title[-1]): ("old",),
    }
    assert all(ours.difference is None for ours in numbers.values())
    reason = f"{outer[1]}: other images (100 each) than {outer[0]}; not compared with each other"
    for format in ("markdown", "csv", "latex"):
        assert reason in render_reproduced(made, format)


def test_a_note_in_csv_is_with_the_numbers_that_it_is_about():
    rows = [evaluation("A", [50.0], data=name) for name in ("cats", "dogs")]
    rows.append(evaluation("A", [60.0], task="Politics"))
    made = reproduce("table6", observe_all((str(i), row) for i, row in enumerate(rows)))
    written = list(csv.DictReader(io.StringIO(render_reproduced(made, "csv"))))
    assert {row["column"].split()[0].strip(",") for row in written if row["note"]} == {"UnbiasedEmotion"}
    assert {row["column"].split(",")[0] for row in written if not row["note"]} == {"Politics"}


def test_run_times_of_one_task_on_other_data_are_rows_of_their_own():
    rows = [evaluation(m, [50.0], protocol="fine-tuned", data=m) for m in ("cats", "dogs")]
    made = reproduce("table9", observe_all([("a", rows[0]), ("b", rows[1])]))
    labels = [row.label for row in made.rows if row.run]
    assert labels == [f"UnbiasedEmotion (data {digits(m, 'UnbiasedEmotion')})" for m in ("cats", "dogs")]


def test_a_figure_has_a_panel_for_each_data_of_a_task():
    rows = [evaluation("VisE-1.2M", [40.0], data="cats"), evaluation("IN-Sup", [50.0], data="dogs")]
    observations = observe_all([("a", rows[0]), ("b", rows[1])])
    panels = [panel for panel in figure("figure3", observations).panels if panel.key.startswith("a")]
    assert [[p.method for p in panel.points if p.mean is not None] for panel in panels] == [
        ["VisE-1.2M"],
        ["IN-Sup"],
    ]
    assert [panel.title for panel in panels] == [
        f"Linear evaluation: UnbiasedEmotion (data {digits(name, 'UnbiasedEmotion')})"
        for name in ("cats", "dogs")
    ]
    text = re.sub(r"<[^>]+>", " ", report("figure3", observations, "svg").decode())
    assert "other images (100 each) than UnbiasedEmotion" in " ".join(text.split())


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            evaluation("B", FOUR, task="cats", draw="seed 1"),
            r"needs the same splits: splits 0 to 3: train, val and test images differ",
        ),
        (
            evaluation("B", FOUR, task="cats", data="other"),
            r"the same data: A was measured on other images \(100 each\) than B; and the same splits: splits 0 to 3: ",
        ),
        (evaluation("B", FOUR[:3], task="cats"), r"the same splits: 4 splits instead of 3"),
    ],
)
def test_a_pair_on_other_data_or_splits_is_rejected_and_the_splits_are_named(other, told: str):
    with pytest.raises(BadInput, match=told):
        paired_test(evaluation("A", FOUR, task="cats"), other)


def test_only_the_part_that_differs_is_named_with_its_sizes():
    a, b = evaluation("A", FOUR, task="cats"), evaluation("B", FOUR, task="cats")
    train, val, _ = b.splits[2].parts
    changed = b.splits[2].model_copy(update={"parts": (train, val, "7" * 64), "sizes": (70, 10, 21)})
    splits = (*b.splits[:2], changed, b.splits[3])
    data = b.data.model_copy(update={"splits_digest": "8" * 64})
    with pytest.raises(BadInput) as error:
        paired_test(a, b.model_copy(update={"splits": splits, "data": data}))
    assert (
        str(error.value)
        == "a paired test needs the same splits: split 2: test (20 instead of 21) images differ"
    )


def test_a_renamed_task_on_the_same_data_is_paired():
    b = evaluation("B", FOUR[::-1], task="cats").model_copy(update={"task": "felines"})
    assert paired_test(evaluation("A", FOUR, task="cats"), b).p is not None


ONE = st.builds(
    evaluation,
    st.sampled_from(["IN-Sup", "VisE-1.2M", "Mine"]),
    st.lists(st.sampled_from([40.0, 50.0, 60.0]), min_size=2, max_size=2),
    task=st.sampled_from(["UnbiasedEmotion", "Politics"]),
    protocol=st.sampled_from(["linear", "fine-tuned"]),
    data=st.sampled_from(["x", "y"]),
    draw=st.sampled_from(["s", "t"]),
    weights=st.sampled_from(["in-sup", "pretrained"]),
    synthetic=st.booleans(),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(ONE, min_size=1, max_size=8))
@pytest.mark.slow
def test_no_place_of_any_report_mixes_or_hides_other_data(results: list[EvaluateResult]):
    """Over small sets of results: every identity is somewhere, and every number is of one identity."""
    newest: dict[tuple[str, ...], tuple[str, EvaluateResult]] = {}
    for number, result in enumerate(results):
        place = (result.method, result.task, result.protocol, measured_on(result).key)
        newest.setdefault(place, (f"run-{number}", result))
    runs = dict(newest.values())

    table = evaluation_table(list(newest.values()))
    assert {cell.run for row in table.rows for cell in row.cells if cell} == set(runs)
    for place in range(len(table.columns)):
        cells = [row.cells[place] for row in table.rows if row.cells[place]]
        of = [measured_on(runs[cell.run]) for cell in cells]
        assert len({(one.key, runs[cell.run].task) for one, cell in zip(of, cells, strict=True)}) == 1
    assert len(set(table.columns)) == len(table.columns), "two columns of one title"

    observations = observe_all(newest.values())
    for name in ("table6", "table7"):
        made = reproduce(name, observations)
        wanted = {
            run for run, r in newest.values() if r.protocol == ("linear", "fine-tuned")[name == "table7"]
        }
        shown = {run for row in made.rows for cell in row.cells if cell.ours for run in cell.ours.runs}
        assert shown == wanted
        for column in range(len(made.columns)):
            places = [row.cells[column].ours for row in made.rows if row.cells[column].ours]
            assert len({measured_on(runs[run]).key for ours in places for run in ours.runs}) <= 1
    for panel in figure("figure3", observations).panels:
        keys = {measured_on(runs[run]).key for point in panel.points for run in point.runs}
        assert keys <= {panel.measured}

    for a in results:
        for b in results:
            if a.protocol == b.protocol and not same_data_and_splits(measured_on(a), measured_on(b)):
                with pytest.raises(BadInput):
                    paired_test(a, b)
