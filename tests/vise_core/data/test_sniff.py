"""Lists of labelled images as people write them: the survey proposes how they are read."""

import csv
import io
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from vise_core.data import sniff
from vise_core.data.layout import task_of
from vise_core.specs.tasks.kinds import CsvTask, FolderTask, PoliticsTask
from vise_core.tasks import load_task

NAMES = [f"images/{number}.png" for number in range(8)]
LABELS = ["joie", "désir"] * 4
SPLITS = ["train"] * 4 + ["val"] * 2 + ["test"] * 2


def write_pictures(root: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (number * 9, 90, 30)).save(root / name)


def table(rows: list[list[str]], delimiter: str = ",", **options) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", **options).writerows(rows)
    return text.getvalue()


def read(root: Path) -> dict[str, str]:
    """{path: class} as an evaluation reads the proposed task."""
    layout, task = task_of(root)
    assert layout == "csv"
    assert isinstance(task, CsvTask)
    images = load_task(task, root)
    return {images.relative_path(i): images.classes[label] for i, label in enumerate(images.labels.tolist())}


def test_shift_jis_is_known_by_its_kana_in_a_short_list(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    right = dict(zip(NAMES, ["猫です", "犬です"] * 4, strict=True))
    (tmp_path / "l.csv").write_bytes(table([["image", "label"], *map(list, right.items())]).encode("cp932"))
    assert read(tmp_path) == right


def test_a_column_for_each_class_is_no_label(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    rows = [[name, str(n % 2), str(1 - n % 2)] for n, name in enumerate(NAMES)]
    (tmp_path / "l.csv").write_text(table([["image", "cat", "dog"], *rows]))
    assert task_of(tmp_path)[0] != "csv"


RIGHT = dict(zip(NAMES, LABELS, strict=True))
ROWS = [list(row) for row in RIGHT.items()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found(tmp_path: Path, encoding: str, delimiter: str) -> None:
    write_pictures(tmp_path, NAMES)
    (tmp_path / "labels.csv").write_bytes(table([["path", "label"], *ROWS], delimiter).encode(encoding))
    assert read(tmp_path) == RIGHT


@pytest.mark.parametrize(
    ("file", "header"),
    [
        ("list.tsv", ["filename", "class"]),
        ("annotations/all.txt", ["image", "emotion"]),
        ("data.csv", ["Image Name", "Sentiment Label"]),
        ("data.csv", ["a", "b"]),
        ("data.csv", None),
        ("labels.csv", None),
    ],
)
def test_names_of_columns_or_none_are_found(tmp_path: Path, file: str, header: list[str] | None) -> None:
    write_pictures(tmp_path, NAMES)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(
        table([*([header] if header else []), *ROWS], "\t" if file.endswith("tsv") else ",")
    )
    assert read(tmp_path) == RIGHT


def test_paths_may_be_relative_to_any_folder_absolute_or_of_windows(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    forms = {
        "bare": [Path(name).name for name in NAMES],
        "absolute": [str(tmp_path / name) for name in NAMES],
        "windows": [name.replace("/", "\\") for name in NAMES],
        "dotted": [f"./{name}" for name in NAMES],
    }
    for form, paths in forms.items():
        rows = [["file", "label"], *map(list, zip(paths, LABELS, strict=True))]
        (tmp_path / "labels.csv").write_text(table(rows))
        assert read(tmp_path) == RIGHT, form


def test_further_columns_quotes_numbers_and_splits(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    rows = [
        [str(n), f"a, quoted \"text\" {n}", f"{n / 7:.3f}", SPLITS[n].title(), str(n % 2), name]
        for n, name in enumerate(NAMES)
    ]  # fmt: skip
    header = ["id", "caption", "score", "subset", "target", "file_name"]
    (tmp_path / "annotations.csv").write_text(table([header, *rows], quoting=csv.QUOTE_ALL))
    _, task = task_of(tmp_path)
    assert task == CsvTask(
        manifest="annotations.csv", path_column="file_name", label_column="target", split_column="subset",
        text_column="caption",
    )  # fmt: skip
    images = load_task(task, tmp_path)
    assert images.published == tuple(SPLITS)
    assert images.classes == ("0", "1")
    assert images.texts is not None
    assert images.texts[0] == 'a, quoted "text" 0'


def test_a_column_split_of_something_else_is_passed_over(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    rows = [["path", "label", "split"], *([*row, str(n % 5)] for n, row in enumerate(ROWS))]
    (tmp_path / "labels.csv").write_text(table(rows))
    _, task = task_of(tmp_path)
    assert isinstance(task, CsvTask)
    assert task.split_column is None
    assert load_task(task, tmp_path).published is None


def test_names_in_nfc_beside_files_in_nfd(tmp_path: Path) -> None:
    names = [f"images/caf\u00e9{n}.jpg" for n in range(6)]
    write_pictures(tmp_path, [unicodedata.normalize("NFD", name) for name in names])
    (tmp_path / "labels.csv").write_text(
        table([["path", "label"], *([name, "ab"[n % 2]] for n, name in enumerate(names))])
    )
    proposal = read(tmp_path)
    assert [unicodedata.normalize("NFC", name) for name in proposal] == names
    assert list(proposal.values()) == ["a", "b"] * 3


def test_shift_jis_is_told_by_the_files_that_it_names(tmp_path: Path) -> None:
    names = [f"images/写真{n}.png" for n in range(6)]
    write_pictures(tmp_path, names)
    rows = [["path", "label"], *([name, "喜び" if n % 2 else "怒り"] for n, name in enumerate(names))]
    (tmp_path / "labels.csv").write_bytes(table(rows).encode("cp932"))
    assert read(tmp_path) == {name: ("怒り", "喜び")[n % 2] for n, name in enumerate(names)}


def test_missing_files_do_not_hide_how_a_list_is_written(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES[:2])
    (tmp_path / "list.tsv").write_text(table([["filename", "class"], *ROWS], "\t"))
    layout, task = task_of(tmp_path)
    assert (layout, task) == (
        "csv",
        CsvTask(manifest="list.tsv", delimiter="\t", path_column="filename", label_column="class"),
    )


def test_a_tsv_beside_a_folder_of_images_is_no_folder_of_classes(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    (tmp_path / "labels.tsv").write_text(table(ROWS, "\t"))
    assert read(tmp_path) == RIGHT


def test_notes_and_captions_beside_classes_leave_a_folder_of_classes(tmp_path: Path) -> None:
    write_pictures(tmp_path, [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(4)])
    (tmp_path / "README.txt").write_text("Eight pictures, of cats and dogs.\nTaken by us, in 2020.\n")
    (tmp_path / "sizes.csv").write_text("class,number\ncat,4\ndog,4\n")
    captions = [
        ["file", "caption"],
        *([f"{label}/{n}.png", f"{label} {n}"] for label in ("cat", "dog") for n in range(4)),
    ]
    (tmp_path / "captions.csv").write_text(table(captions))
    assert task_of(tmp_path) == ("folder", FolderTask())


def test_only_left_and_right_are_politics(tmp_path: Path) -> None:
    write_pictures(tmp_path, NAMES)
    for labels in (("left", "right"), ("cat", "dog")):
        rows = [
            ["path", "label", "split"],
            *([name, labels[n % 2], SPLITS[n]] for n, name in enumerate(NAMES)),
        ]
        (tmp_path / "manifest.csv").write_text(table(rows, ";"))
        _, task = task_of(tmp_path)
        assert task == (
            PoliticsTask(manifest="manifest.csv")
            if labels[0] == "left"
            else CsvTask(manifest="manifest.csv", delimiter=";")
        )


@pytest.mark.parametrize(
    "content", [b"", b"\n\n\n", b"\xff\xfe", b"\x00" * 400, b'"', b"a,b\n" * 3, b"\xff" * 3000]
)
def test_no_list_makes_the_guess_fail(tmp_path: Path, content: bytes) -> None:
    write_pictures(tmp_path, ["cat/a.png", "dog/b.png"])
    (tmp_path / "list.csv").write_bytes(content)
    assert task_of(tmp_path) == ("folder", FolderTask())


def test_of_very_many_columns_the_first_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path, NAMES)
    looked: list[str] = []
    monkeypatch.setattr(sniff, "_find", lambda _, name, __: looked.append(name))
    (tmp_path / "l.csv").write_text(table([[f"c{n}" for n in range(3000)]]))
    task_of(tmp_path)
    assert 0 < len(set(looked)) <= sniff.MOST_COLUMNS
