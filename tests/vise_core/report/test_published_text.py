"""Every published number against the paper's own text of its tables, parsed here by a grammar of its own.

``paper_text.json`` holds that text as an extractor read it from the PDF: of each table its heading and all between
heading and caption, the captions, and the sentences that we quote. A table's text must be used up to its last
character: no number of the paper is left over, and none of ours is without its place in the text.
"""

import json
import re
from itertools import groupby
from pathlib import Path

import pytest

from vise_core.report.published import (
    FIGURES,
    QUALITATIVE,
    TABLES,
    PublishedTable,
    published,
    published_figure,
    published_qualitative,
)
from vise_core.report.published.figures import read_size

PAPER = json.loads(Path(__file__).with_name("paper_text.json").read_text(encoding="utf-8"))

NUMBERS = ["table2", "table3", "table4", "table5", "table6", "table7", "table9"]
HYPERPARAMETERS = [f"table{number}" for number in range(10, 17)]

BACKBONES = {"ResNet-50": "resnet50", "ResNet-101": "resnet101", "ResNeXt-101": "resnext101_32x16d"}
METHODS = {
    "ICMLMatt-fc": "ICMLM-att-fc",
    "ICMLMtfm": "ICMLM-tfm",
    "Reaction + Comments": "VisE-1.2M",
    "Comments": "VisE-1.2M-C",
    "Reaction": "VisE-R",
}
TASKS = {"UnbiasedEmotion", "Politics", "Hateful Memes", "CUB-200-2011"}

TOKEN = re.compile(
    r"""(?P<backbone>ResNet-50|ResNet-101|ResNeXt-101(?:\ 32×\ 16d)?)
      | (?P<group>(?:Uni-modality|Cross-modalities|Contrastive\ learning)\ pre-training\ methods|Ours)
      | (?P<label>(?:Random\ Init|IN-Sup|IG-940M-IN|MoCo-v2|VQAGrid|VirTex|ICMLMatt-fc|ICMLMtfm|CLIP
          |VisE-(?:123k|308k|615k|1\.2M-C|1\.2M|250M|R)|Reaction\ \+\ Comments|Reaction|Comments
          |UnbiasedEmotion|Politics|Hateful\ Memes|CUB-200-2011)
          (?:\ \[\d+\]|\ \(ours\)|\ \(MoCo-v2\))?)
      | (?P<set>\{[^}]*\})
      | (?P<sign>[±↑↓])
      | (?P<number>-?\d[\d,]*(?:\.\d+)?(?:e-\d+)?)
      | (?P<dash>-)""",
    re.VERBOSE,
)


def text_of(table: PublishedTable) -> str:
    """The text between a table's heading, which must be the one we have, and its caption."""
    section = PAPER["tables"][table.name]
    # Table 10's heading is lost.
    assert section["heading"] in (None, heading(table))
    return section["text"]


def heading(table: PublishedTable) -> str:
    """Our headings in the order in which a text extractor meets them: outer ones, then inner ones."""
    titles = [column.title for column in table.columns]
    outer = [title for title, _ in groupby(title[0] for title in titles)]
    return " ".join([*table.row_headings, *outer, *(title[1] for title in titles if len(title) > 1)])


def text_rows(text: str) -> list[tuple[str | None, str | None, str | None, list[str]]]:
    """(backbone, group, label, cells) of each row. A cell is its tokens with one space between."""
    rows: list[tuple[str | None, str | None, str | None, list[str]]] = []
    backbone = group = None
    position = 0
    joins = False
    while position < len(text):
        match = TOKEN.match(text, position)
        assert match is not None, f"not understood: {text[position : position + 60]!r}"
        position = match.end()
        while position < len(text) and text[position] == " ":
            position += 1
        kind, token = match.lastgroup, match[0]
        if kind == "backbone":
            backbone, group = BACKBONES[token.split()[0]], None
        elif kind == "group":
            group = token
        elif kind == "label":
            rows.append((backbone, group, token, []))
        else:
            if not rows:
                rows.append((backbone, group, None, []))  # the label is lost (Table 10)
            cells = rows[-1][3]
            if kind == "set":
                token = "{" + ", ".join(part.strip() for part in token[1:-1].split(",")) + "}"
            if kind == "sign":
                cells[-1] += f" {token}" if token != "±" else " ± "
                joins = True
                continue
            if joins:
                cells[-1] += token
            else:
                cells.append(token)
        joins = False
    return rows


def numbers_in(cell: str) -> tuple:
    """(value, std, signed difference, each split's value) of a cell of the text."""
    if cell == "-":
        return (None, None, None, ())
    if cell.startswith("{"):
        return (None, None, None, tuple(float(part) for part in cell[1:-1].split(",")))
    value, _, difference = cell.partition("↑" if "↑" in cell else "↓")
    value, _, std = value.partition("±")
    signed = None
    if difference:
        signed = abs(float(difference)) if "↑" in cell else -abs(float(difference))
    return (float(value.replace(",", "")), float(std) if std else None, signed, ())


def check_row(table: PublishedTable, index: int, expected: list[str | None]) -> None:
    row = table.rows[index]
    ours = [cell for cell in table.cells if cell.row == row.key]
    assert [cell.column for cell in ours] == [column.key for column in table.columns]
    assert [cell.printed for cell in ours] == expected
    assert [cell.illegible for cell in ours] == [cell is None for cell in expected]
    read = [(None, None, None, ()) if cell is None else numbers_in(cell) for cell in expected]
    assert [(cell.value, cell.std, cell.difference, cell.per_split) for cell in ours] == read


def method_of(label: str) -> str:
    name = re.sub(r" \[\d+\]| \(ours\)", "", label)
    return METHODS.get(name, name)


@pytest.mark.parametrize("name", NUMBERS)
def test_result_tables_row_by_row(name: str) -> None:
    table = published(name)
    in_text = text_rows(text_of(table))
    assert len(table.rows) == len(in_text)
    named_in_caption = re.search(r"ResNeX?t-\d+", table.caption)
    for index, (backbone, group, label, cells) in enumerate(in_text):
        row = table.rows[index]
        assert label is not None
        assert (row.label, row.group) == (label, group)
        if label in TASKS:
            assert (row.task, row.backbone) == (label, None)
        else:
            backbone = backbone or BACKBONES[named_in_caption[0]]
            assert (row.method, row.backbone) == (method_of(label), backbone)
        check_row(table, index, cells)


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_hyperparameter_tables_row_by_row(name: str) -> None:
    table = published(name)
    text = text_of(table)
    # Backbones written from bottom to top come out in pieces.
    text = text.replace("R es N et -1 01 ", "ResNet-101 ").replace("R es N eX t-10 1 ", "ResNeXt-101 ")
    schedule = re.match(r"(.*?) ?Total epochs: (\d+) LR steps: \(([\d, ]+)\) LR decay: \(([\d., ]+)\) ", text)
    if name == "table10":
        assert schedule is None
        assert table.schedule is not None
        assert table.schedule.illegible
        assert (table.schedule.epochs, table.schedule.lr_steps, table.schedule.lr_decay) == (None, None, None)
        text = "ResNet-50 " + text  # lost with the first label
    else:
        assert schedule is not None
        assert table.schedule is not None
        (task,) = {cell.task for cell in table.cells}
        assert schedule[1].replace(" ", "") == str(task).replace(" ", "")
        assert table.schedule.epochs == int(schedule[2])
        assert table.schedule.lr_steps == tuple(map(int, schedule[3].split(",")))
        assert table.schedule.lr_decay == tuple(map(float, schedule[4].split(",")))
        assert not table.schedule.illegible
        text = text[schedule.end() :]

    in_text = text_rows(text)
    assert len(table.rows) == len(in_text)
    batch: str | None = None  # one merged cell for a block; Table 10's first is lost
    for index, (backbone, _, label, cells) in enumerate(in_text):
        row = table.rows[index]
        assert row.backbone == backbone
        assert row.label == label
        assert row.method == ("Random Init" if label is None else method_of(label))
        if len(cells) == len(table.columns):
            batch, *cells = cells
        check_row(table, index, [batch, *cells])


def test_what_table_10_has_lost_and_nothing_else_is_illegible() -> None:
    illegible = [
        (cell.table, cell.row, cell.column)
        for name in TABLES
        for cell in published(name).cells
        if cell.illegible
    ]
    assert illegible == [
        ("table1", "Random Init", "model"),
        *(("table10", row.key, "batch") for row in published("table10").rows[:10]),
    ]
    assert published("table10").rows[0].label is None


def test_table_1_line_by_line() -> None:
    table, section = published("table1"), PAPER["tables"]["table1"]
    assert section["heading"] == heading(table)
    groups = {None: [], "(1)": [], "(2)": []}
    for row in table.rows[:-2]:
        filled = [cell for cell in row.cells if cell and cell != "illegible"]
        groups[row.group].append(" ".join([str(row.label), *filled]))
    # VisE's rows share all cells but two, and the extractor ran the last two lines into one.
    assert [row.method for row in table.rows[:-2]] == [method_of(str(row.label)) for row in table.rows[:-2]]
    first, second = ([cell.printed for cell in table.cells if cell.row == row.key] for row in table.rows[-2:])
    assert [first[3], second[3]] == [row.method for row in table.rows[-2:]]
    assert first[:3] == second[:3]
    assert first[5] == second[5]
    ours = [" ".join(["ours", *first[:3]]), " ".join(first[3:]) + " ".join(second[3:5])]
    assert section["lines"] == [*groups[None], "(1)", *groups["(1)"], "(2)", *groups["(2)"], *ours]


def test_table_8_line_by_line() -> None:
    table, section = published("table8"), PAPER["tables"]["table8"]
    assert section["heading"] == heading(table)
    assert section["lines"] == [" ".join([str(row.label), *row.cells]) for row in table.rows]
    for cell in table.cells:
        if cell.column == "kind":
            continue
        assert cell.printed is not None
        assert cell.starred == ("*" in cell.printed)
        digits = re.sub(r"\D", "", cell.printed)
        assert cell.value == (int(digits) if digits else None)


@pytest.mark.parametrize("name", [*TABLES, *FIGURES, *QUALITATIVE])
def test_captions(name: str) -> None:
    what = (
        published_qualitative(name)
        if name in QUALITATIVE
        else published_figure(name)
        if name in FIGURES
        else published(name)
    )
    kind, number = re.fullmatch(r"(table|figure)(\d+)", name).groups()
    assert PAPER["captions"][name] == f"{kind.title()} {number}. {what.caption}"


def test_quotes_in_errata_are_the_papers_words() -> None:
    quotes = [erratum.quote for name in TABLES for erratum in published(name).errata if erratum.quote]
    assert quotes
    for quote in quotes:
        assert any(letters(quote) in letters(sentence) for sentence in PAPER["sentences"])


def letters(text: str) -> str:
    """Without spaces and hyphens, which line breaks of the PDF change."""
    return re.sub(r"[\s-]", "", text)


def test_what_figures_take_from_the_text() -> None:
    text = PAPER["text_alone"]
    said = dict(re.findall(r"using text encoder alone give ROC AUC scores: ([\d.]+) \((\S+?)\), ", text))
    said |= dict(re.findall(r"ROC AUC scores: [\d.]+ \(fine-tuned\), ([\d.]+) \((linear)\)", text))
    assert len(said) == 2
    panels = {panel.protocol: panel for panel in published_figure("figure6").panels if panel.setup == "text"}
    for value, protocol in said.items():
        (point,) = panels[protocol].points
        assert point.value == float(value)

    (smaller,) = re.findall(r"randomly sampled \{([\dk, ]+)\} images", PAPER["smaller"])
    sizes = [point.data_size for point in published_figure("figure4").panels[0].points if point.value is None]
    assert sizes == [read_size(size) for size in smaller.split(", ")]


def test_answers_of_figure_8_line_by_line_and_none_of_figure_7() -> None:
    figure = published_qualitative("figure8")
    first, *found = PAPER["figure8"]
    assert first == " ".join(["Original", *figure.methods])
    assert found == [" ".join([row.label, *(a.printed for a in row.answers)]) for row in figure.rows]
    assert published_qualitative("figure7").rows == ()
