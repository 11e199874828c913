"""The published numbers agree with each other, but where an erratum says that the paper's own do not."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

import pytest

from vise_core.errors import BadInput
from vise_core.report.published import (
    FIGURES,
    TABLES,
    Erratum,
    Place,
    PublishedCell,
    PublishedTable,
    published,
    published_figure,
)
from vise_core.report.published.cells import read_number
from vise_core.report.published.figures import read_size
from vise_core.specs.models.backbones import BACKBONES

COMPARED = [name for name in TABLES if published(name).compared_with]
HYPERPARAMETERS = [f"table{number}" for number in range(10, 17)]


def cells(*names: str) -> Iterator[PublishedCell]:
    for name in names or TABLES:
        yield from published(name).cells


def place(cell: PublishedCell) -> Place:
    return Place(table=cell.table, row=cell.row, column=cell.column)


def at(place: Place) -> PublishedCell:
    return published(place.table).cell(place.row, place.column)


def errata(kind: str) -> list[Erratum]:
    return [erratum for name in TABLES for erratum in published(name).errata if erratum.kind == kind]


def places(kind: str) -> set[Place]:
    return {place for erratum in errata(kind) for place in erratum.places}


def exact(cell: PublishedCell) -> Decimal:
    assert cell.printed is not None
    return Decimal(cell.printed.split()[0].rstrip("*").replace(",", ""))


def true_difference(table: PublishedTable, cell: PublishedCell) -> Decimal | None:
    """value − reference, exactly; None where the table compares nothing."""
    reference = table.reference(cell)
    return None if reference is None else exact(cell) - exact(reference)


def test_read_one_number_with_all_that_is_known_about_it() -> None:
    cell = published("table6").cell("resnet50/VisE-1.2M", "politics_test")
    assert (cell.value, cell.std, cell.difference, cell.arrow) == (59.30, None, -0.15, "↓")
    assert (cell.task, cell.protocol, cell.split) == ("Politics", "linear", "test")
    assert (cell.metric, cell.unit) == ("accuracy", "%")
    assert (cell.backbone, cell.method) == ("resnet50", "VisE-1.2M")
    assert (cell.printed, cell.illegible) == ("59.30 ↓0.15", False)
    assert published("table6").cell("resnet50/VisE-1.2M", "emotion_test").std == 2.15


def test_values_of_each_split() -> None:
    cell = published("table10").cell("resnet50/IN-Sup", "finetuned_lr")
    assert cell.value is None
    assert cell.per_split == (0.0025, 0.0025, 0.0025, 0.0025, 0.025)


def test_an_illegible_number_has_no_value() -> None:
    cell = published("table10").cell("resnet50/CLIP", "batch")
    assert cell.illegible
    assert (cell.printed, cell.value) == (None, None)


def test_tables_and_figures_become_json_and_back() -> None:
    for name in TABLES:
        table = published(name)
        assert type(table).model_validate(json.loads(table.model_dump_json())) == table
    for name in FIGURES:
        figure = published_figure(name)
        assert type(figure).model_validate(json.loads(figure.model_dump_json())) == figure


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(BadInput, match="table1, table2"):
        published("table17")
    with pytest.raises(BadInput, match="figure3, figure4"):
        published_figure("figure7")
    with pytest.raises(BadInput, match=r"rows: resnet50/Random Init.*columns: cub_linear"):
        published("table2").cell("resnet50/CLIP", "cub_linear")


@pytest.mark.parametrize("cell", ["12,5 %", "1.2 ± ", "3 ↑", "", "?", "{0.1, }", "1.2 +- 3"])
def test_a_cell_that_is_not_as_printed_is_refused(cell: str) -> None:
    with pytest.raises(BadInput, match="write it as printed"):
        read_number(cell)


def test_no_cell_is_there_twice_and_none_is_missing() -> None:
    assert Counter(map(place, cells())).most_common(1)[0][1] == 1
    for name in TABLES:
        table = published(name)
        wanted = [(row.key, column.key) for row in table.rows for column in table.columns]
        assert [(cell.row, cell.column) for cell in table.cells] == wanted


def test_each_result_says_what_it_is_about() -> None:
    for name in ("table2", "table3", "table4", "table5", "table6", "table7"):
        for cell in cells(name):
            assert None not in (cell.task, cell.protocol, cell.metric, cell.unit, cell.backbone, cell.method)
            assert cell.backbone in BACKBONES
            assert (cell.setup is None) == (cell.task != "Hateful Memes")
            # Table 3 does not say which of Politics' two sets it means.
            assert cell.split is not None or (name, cell.task) == ("table3", "Politics")
    for cell in cells(*HYPERPARAMETERS):
        assert None not in (cell.task, cell.metric, cell.backbone, cell.method)
        assert cell.protocol is not None or cell.column == "batch" or cell.table in HYPERPARAMETERS[4:]


SAID_BY_HEADING = {
    "Linear": {"protocol": "linear"},
    "Linear Evaluation": {"protocol": "linear"},
    "Fine-tuned": {"protocol": "fine-tuned"},
    "UnbiasedEmotion": {"task": "UnbiasedEmotion"},
    "Politics": {"task": "Politics"},
    "Hateful Memes": {"task": "Hateful Memes"},
    "Val Accuracy": {"split": "val", "metric": "accuracy", "unit": "%"},
    "Test Accuracy": {"split": "test", "metric": "accuracy", "unit": "%"},
    "ROC AUC": {"split": "val", "metric": "roc_auc", "unit": "fraction"},
    "Accuracy": {"split": "val", "metric": "accuracy", "unit": "%"},
    "Top 1 Accuracy": {"metric": "top1", "unit": "%"},
    "Top 5 Accuracy": {"metric": "top5", "unit": "%"},
    "Image + Text (Fine-tuned)": {"setup": "image+text", "protocol": "fine-tuned"},
    "Image Only (Fine-tuned)": {"setup": "image", "protocol": "fine-tuned"},
    "Image Only (Linear)": {"setup": "image", "protocol": "linear"},
    "Batch Size": {"metric": "batch_size", "unit": "images"},
    "Base LR": {"metric": "base_lr"},
    "WD": {"metric": "weight_decay"},
    "Slr": {"metric": "s_lr"},
    "Swd": {"metric": "s_wd"},
    "# GPUs": {"metric": "gpus", "unit": "GPUs"},
    "ResNet-50 (24M)": {"backbone": "resnet50"},
    "ResNet-101 (45M)": {"backbone": "resnet101"},
    "ResNeXt-101 (194M)": {"backbone": "resnext101_32x16d"},
    "Per Iteration (second)": {"metric": "seconds_per_iteration", "unit": "s"},
    "Total Time (minute)": {"metric": "total_minutes", "unit": "min"},
}
SAID_BY_CAPTION = {
    "table2": {"task": "CUB-200-2011", "split": "val", "metric": "accuracy"},
    "table3": {"backbone": "resnet50"},
    "table4": {"task": "ImageNet", "protocol": "fine-tuned", "backbone": "resnext101_32x16d"},
    "table5": {"task": "UnbiasedEmotion", "protocol": "linear", "backbone": "resnet50"},
    "table6": {"protocol": "linear"},
    "table7": {"protocol": "fine-tuned"},
    "table9": {"protocol": "fine-tuned"},
    "table10": {"task": "UnbiasedEmotion"},
    "table11": {"task": "Politics"},
    "table12": {"task": "Hateful Memes", "setup": "image+text-frozen"},
    "table13": {"task": "CUB-200-2011"},
    "table14": {"task": "Hateful Memes"},
    "table15": {"task": "Hateful Memes"},
    "table16": {"task": "Hateful Memes"},
}


@pytest.mark.parametrize("name", list(SAID_BY_CAPTION))
def test_facts_of_a_number_are_those_of_its_heading_and_caption(name: str) -> None:
    table = published(name)
    swapped = {one.column for one in places("heading") if one.table == name}
    for column in table.columns:
        for cell in [cell for cell in table.cells if cell.column == column.key]:
            facts = dict(SAID_BY_CAPTION[name])
            for title in column.title:
                facts |= SAID_BY_HEADING[title]
            if column.key in swapped:
                facts["task"] = {"Politics": "Hateful Memes", "Hateful Memes": "Politics"}[facts["task"]]
            assert {fact: getattr(cell, fact) for fact in facts} == facts


def test_numbers_lie_where_their_unit_allows() -> None:
    bounds = {"accuracy": (0, 100), "top1": (50, 100), "top5": (90, 100), "roc_auc": (0.5, 0.7)}
    seen = set()
    for cell in cells(*COMPARED, "table2"):
        assert cell.value is not None
        low, high = bounds[str(cell.metric)]
        assert low < cell.value < high, cell
        seen.add(cell.metric)
        # Only the task with five splits has a spread.
        assert (cell.std is not None) == (cell.task == "UnbiasedEmotion"), cell
        assert cell.std is None or 0.5 < cell.std < 5
    assert seen == set(bounds)
    for cell in cells("table4"):
        assert (
            published("table4").cell(cell.row, "top1").value
            < published("table4").cell(cell.row, "top5").value
        )  # type: ignore[operator]


def test_memes_accuracies_are_multiples_of_a_fifth_of_an_image() -> None:
    accuracies = [
        cell
        for cell in cells("table6", "table7")
        if (cell.task, cell.metric) == ("Hateful Memes", "accuracy")
    ]
    assert len(accuracies) == 33
    images = published("table8").cell("Hateful Memes [40]", "val").value
    assert images == 500
    for cell in accuracies:
        assert exact(cell) * 5 * 500 / 100 % 1 == 0, cell


@pytest.mark.parametrize("name", COMPARED)
def test_differences_are_value_minus_reference_of_the_same_backbone(name: str) -> None:
    """Both are rounded, so that their difference may be one off in the last digit."""
    table = published(name)
    wrong = set()
    count = 0
    for cell in table.cells:
        if cell.difference is None:
            continue
        count += 1
        true = true_difference(table, cell)
        assert true is not None
        assert (cell.difference > 0) == (cell.arrow == "↑")
        last_digit = Decimal(1).scaleb(exact(cell).as_tuple().exponent)  # type: ignore[arg-type]
        if abs(true - Decimal(str(cell.difference))) > last_digit:
            wrong.add(place(cell))
    assert count >= 2
    assert wrong == {one for one in places("difference") if one.table == name}


@pytest.mark.parametrize("name", COMPARED)
def test_arrows_stand_where_the_caption_says(name: str) -> None:
    """VisE and its variants always; others where they are better than IN-Sup (Tables 6, 7)."""
    table = published(name)
    missing = set()
    for cell in table.cells:
        true = true_difference(table, cell)
        if true is None:
            assert cell.arrow is None
            continue
        assert cell.method is not None
        if cell.method.startswith("VisE"):
            assert cell.arrow is not None, cell
        elif name == "table4":
            assert cell.arrow is None  # "the differences between VisE and IN-Sup"
        else:
            assert cell.arrow != "↓", cell
            if (cell.arrow == "↑") != (true > 0):
                missing.add(place(cell))
    assert missing == {one for one in places("arrow") if one.table == name}


def test_the_same_number_in_two_tables_is_the_same() -> None:
    def same(cell: PublishedCell) -> tuple:
        return cell.task, cell.protocol, cell.setup, cell.metric, cell.backbone, cell.method

    results = list(cells("table2", "table3", "table4", "table5", "table6", "table7"))
    several = defaultdict(list)
    for cell in results:
        several[same(cell), cell.split].append(cell)
    # Where a table does not say val or test, it may mean either.
    for cell in [cell for cell in results if cell.split is None]:
        for split in ("val", "test"):
            if others := several.get((same(cell), split)):
                several[same(cell), split] = [*others, cell]
    pairs = [group for group in several.values() if len(group) > 1]
    assert len(pairs) >= 8
    differing = {
        place(cell) for group in pairs if len({(c.value, c.std) for c in group}) > 1 for cell in group
    }
    assert differing == places("tables")


def test_headings_that_are_swapped() -> None:
    (erratum,) = errata("heading")
    for one in erratum.places:
        table = published(one.table)
        (column,) = [column for column in table.columns if column.key == one.column]
        assert column.title[0] != column.task
        assert column.note is not None
        # The metric follows the number: no accuracy in percent is below 1.
        for cell in table.cells:
            if cell.column == column.key:
                assert cell.value is not None
                assert (cell.value < 1) == (cell.task == "Hateful Memes")
    by_value = {(cell.value, cell.task, cell.method, cell.backbone) for cell in cells("table6", "table7")}
    for value, task in ((0.6100, "Hateful Memes"), (64.69, "Politics")):
        assert value in {at(one).value for one in erratum.places}
        assert (value, task, "VisE-1.2M", "resnet50") in by_value


def test_sentences_that_tables_contradict() -> None:
    compared = [erratum for erratum in errata("text") if len(erratum.places) == 2]
    assert len(compared) == 3
    for erratum in compared:
        first, second = map(at, erratum.places)
        assert first.column == second.column
        assert first.value is not None
        assert second.value is not None
        assert first.value < second.value, erratum.says


def test_effective_data_sizes_of_contrastive_methods() -> None:
    """App. B: image pairs of MoCo-v2's queue, image-text pairs of CLIP's batch."""
    sizes = {row.method: row.cells[4].rstrip("*") for row in published("table1").rows}
    assert read_size(sizes["MoCo-v2"]) == pytest.approx((65536 + 1) * 1.28e6, rel=1e-3)
    assert read_size(sizes["CLIP"]) == pytest.approx(400e6 * 32768, rel=1e-3)
    assert sizes["CLIP"] != "83.9B"


@pytest.mark.parametrize(
    "erratum", [e for name in TABLES for e in published(name).errata], ids=lambda e: e.says
)
def test_an_erratum_points_at_numbers_and_gives_evidence(erratum: Erratum) -> None:
    assert erratum.evidence
    assert (erratum.quote is not None) == (erratum.kind == "text")
    assert [at(one).printed for one in erratum.places]


def test_sizes_of_data_sets_add_up() -> None:
    sizes = {
        row.task: [published("table8").cell(row.key, part).value or 0 for part in ("train", "val", "test")]
        for row in published("table8").rows
    }
    totals = {task: sum(parts) for task, parts in sizes.items()}
    # Sec. 4.3.
    assert totals == {
        "CUB-200-2011": 11_788,
        "UnbiasedEmotion": 3_045,
        "Politics": 749_932,
        "Hateful Memes": 9_000,
    }
    train, val, _ = sizes["UnbiasedEmotion"]
    assert (train, val) == (3045 * 7 // 10, 3045 // 10)


def test_five_splits_have_five_choices_and_equal_ones_are_printed_once() -> None:
    listed = [cell for cell in cells() if cell.per_split]
    assert {cell.table for cell in listed} == {"table10"}
    assert {len(cell.per_split) for cell in listed} == {5}
    equal = {place(cell) for cell in listed if len(set(cell.per_split)) == 1}
    signs = {place(cell) for cell in cells() if cell.printed and "↓-" in cell.printed}
    assert len(signs) == 1
    assert equal | signs == places("format")


def test_total_run_time_grows_with_the_backbone() -> None:
    for row in published("table9").rows:
        totals = [
            cell.value for cell in cells("table9") if cell.row == row.key and cell.metric == "total_minutes"
        ]
        known = [value for value in totals if value is not None]
        assert known == sorted(known)
        assert len(known) == (2 if row.task == "CUB-200-2011" else 3)
