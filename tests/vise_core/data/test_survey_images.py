"""The survey of a labelled set says before an evaluation what the evaluation will say."""

import json
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vise_core.data import survey
from vise_core.errors import BadInput
from vise_core.evaluate import stage as evaluate
from vise_core.reporter import LocalReporter
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.setups import RandomWeights
from vise_core.specs.survey import SurveyResult, SurveySpec
from vise_core.specs.tasks.kinds import FolderTask
from vise_core.tasks import RejectedImages


def picture(path: Path, shade: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (shade % 256, 90, 30)).save(path)
    return path


def look(folder: Path, **spec) -> SurveyResult:
    with tempfile.TemporaryDirectory() as work:
        reporter = LocalReporter(Path(work) / "artifacts")
        return survey.run(SurveySpec(samples=4, **spec), {"dataset": folder}, Path(work) / "work", reporter)


class Accepted(Exception):
    """The evaluation got as far as training."""


@pytest.fixture(scope="module")
def evaluated():
    """What an evaluation says of a folder with a task: (its message or None, its counts by reason)."""

    def accept(_job):
        raise Accepted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "evaluate_linear", accept)
        patch.setattr(evaluate, "load_weights", lambda *_: evaluate.LoadedWeights(None, "", "", False))

        def run(folder: Path, task) -> tuple[str | None, dict[str, int]]:
            spec = EvaluateSpec(task=task, weights=RandomWeights(backbone="resnet18"))
            with tempfile.TemporaryDirectory() as work:
                try:
                    evaluate.run(
                        spec, {"dataset": folder}, Path(work), LocalReporter(Path(work) / "artifacts")
                    )
                except Accepted:
                    return None, {}
                except RejectedImages as error:
                    return str(error), error.reasons
                except BadInput as error:
                    return str(error), {}
            raise AssertionError("neither accepted nor rejected")

        yield run


def folders(root: Path, names: list[str]) -> None:
    del root, names


def split_folders(root: Path, names: list[str]) -> None:
    """train, val and test take turns."""
    for number, name in enumerate(names):
        target = root / ("train", "train", "val", "test")[number % 4] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / name).rename(target)


def csv_list(root: Path, names: list[str]) -> None:
    rows = [f"{name};{name.split('/')[0]}" for name in names]
    (root / "list.txt").write_text("\n".join(["file;class", *rows]) + "\n", encoding="cp1252")


def csv_splits(root: Path, names: list[str]) -> None:
    rows = [f"{name},{name.split('/')[0]},{('train', 'test')[n % 3 == 0]}" for n, name in enumerate(names)]
    (root / "labels.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")


def politics(root: Path, names: list[str]) -> None:
    sides = [f"imgs/{('LEFT', 'RIGHT')[number % 2]}/{name}" for number, name in enumerate(names)]
    for name, side in zip(names, sides, strict=True):
        (root / side).parent.mkdir(parents=True, exist_ok=True)
        (root / name).rename(root / side)
    lists = {"train_imgs": sides[3:], "test_imgs": sides[:3]}
    (root / "train_test_paths.pickle").write_bytes(pickle.dumps(lists))


def memes(root: Path, names: list[str]) -> None:
    (root / "img").mkdir()
    lines: dict[str, list[str]] = {"train": [], "dev_seen": []}
    for number, name in enumerate(names):
        image = f"img/{number:05}.png"
        (root / name).rename(root / image)
        row = {"id": number, "img": image, "label": number % 2, "text": "a sentence"}
        lines["dev_seen" if number % 3 == 0 else "train"].append(json.dumps(row))
    for part, written in lines.items():
        (root / f"{part}.jsonl").write_text("\n".join(written) + "\n")


LAYOUTS: list[Callable[[Path, list[str]], None]] = [
    folders,
    split_folders,
    csv_list,
    csv_splits,
    politics,
    memes,
]


def truncated(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


FAULTS: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "page": lambda path: path.write_bytes(b"<html>404</html>"),
    "text": lambda path: path.write_bytes(b"no image at all"),
    "truncated": truncated,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a dangling link": lambda path: (path.unlink(), path.symlink_to("nowhere.png")),
    "a link out": lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
    "another ending": lambda path: path.rename(path.with_suffix(".raw")),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layout=st.sampled_from(LAYOUTS),
    classes=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    faults=st.lists(st.tuples(st.integers(0, 26), st.sampled_from(sorted(FAULTS))), max_size=3),
    line=st.sampled_from(
        ["", "cat/0.png", ";", ",x,train", "../out.png;x", "cat/0.png,,train", "no.png,x,later"]
    ),
)
@pytest.mark.slow
def test_the_survey_rejects_what_an_evaluation_rejects_reason_by_reason(
    evaluated, layout, classes: list[int], faults: list[tuple[int, str]], line: str
) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "set"
        names = [
            f"{('cat', 'dog', 'cow')[c]}/{n}.png" for c, count in enumerate(classes) for n in range(count)
        ]
        for number, name in enumerate(names):
            picture(root / name, 9 * number)
        layout(root, names)
        files = sorted(path for path in root.rglob("*.png"))
        for number, fault in faults:
            path = files[number % len(files)]
            if path.is_file() and not path.is_symlink():
                FAULTS[fault](path)
        for written in (root / "list.txt", root / "labels.csv"):
            if written.exists() and line:
                written.write_text(written.read_text() + line + "\n")
        if not any(path.is_file() for path in root.rglob("*")):
            with pytest.raises(BadInput, match="the data set holds no file"):
                look(root)
            assert evaluated(root, FolderTask())[0] is not None
            return
        survey_result = look(root)
        rejected, reasons = evaluated(root, survey_result.task) if survey_result.task else (None, {})
        if survey_result.task is None:
            assert survey_result.layout == "unknown"
            return
        assert survey_result.rejection == rejected
        if reasons:
            assert survey_result.rejected == reasons
        if rejected is None:
            assert survey_result.rejected == {}


def test_every_file_is_counted_once(tmp_path: Path) -> None:
    """59 files, 44 of them labelled: the other fifteen by hand."""
    for number in range(44):
        picture(tmp_path / ("cat", "dog")[number % 2] / f"{number}.png", number)
    picture(tmp_path / "stray.jpg"), picture(tmp_path / "masks/cat/0.png")
    for name in ("cat/a.raw", "cat/b.RAW", "dog/c.mov", "README", "notes.txt", "labels.json"):
        (tmp_path / name).write_bytes(b"x")
    for name in (
        ".DS_Store",
        "cat/._1.png",
        ".cache/a.png",
        ".cache/b.png",
        "__MACOSX/c.png",
        "cat/Thumbs.db",
        "dog/.x",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    survey_result = look(tmp_path)
    assert (
        survey_result.files,
        survey_result.images,
        survey_result.examined,
        survey_result.unlabelled,
        survey_result.hidden,
    ) == (59, 44, 44, 1, 8)
    assert survey_result.other == {".raw": 2, ".mov": 1, "": 1, ".txt": 1, ".json": 1}
    assert (
        survey_result.files
        == survey_result.images
        + survey_result.unlabelled
        + survey_result.hidden
        + sum(survey_result.other.values())
    )
    assert survey_result.warnings == (
        "3 of 59 files are not read, as their names are not an image's: .raw 2, .mov 1; such as cat/a.raw.",
        "1 of 59 files are images without a label and are not read, such as stray.jpg.",
    )
    assert survey_result.rejection is None


def test_images_without_an_ending_are_a_warning(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / ("cat", "dog")[number % 2] / f"{number}.png", number)
    for name in ("cat/a", "dog/b"):
        (tmp_path / name).write_bytes((tmp_path / "cat/0.png").read_bytes())
    (tmp_path / "README").write_bytes(b"x")
    survey_result = look(tmp_path)
    assert (survey_result.files, survey_result.images, survey_result.other) == (23, 20, {"": 3})
    assert survey_result.warnings == (
        "2 of 23 files are images whose names have no ending, and are not read, such as cat/a; rename them, to .jpg or what "
        "they are.",
    )


def test_files_that_look_alike_are_a_warning_and_both_are_read(tmp_path: Path) -> None:
    names = ["cat/caf\u00e9.png", "cat/cafe\u0301.png", "dog/IMG.png", "dog/img.png", "dog/img.PNG"]
    names += [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(8)]
    for number, name in enumerate(names):
        picture(tmp_path / name, number)
    survey_result = look(tmp_path)
    assert (survey_result.images, survey_result.rejection) == (21, None)
    assert survey_result.warnings == (
        r"2 groups of files differ by case or Unicode normalisation only, such as 'cat/cafe\u0301.png' and "
        r"'cat/caf\xe9.png'; they are kept apart here, and not on every file system.",
    )


def test_three_unreadable_and_eight_missing_are_eleven(tmp_path: Path) -> None:
    for number in range(30):
        picture(tmp_path / f"{number}.png", number)
    rows = [f"{number}.png,{'ab'[number % 2]}" for number in range(30)] + [f"gone{n}.png,a" for n in range(8)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    for number in (3, 4, 5):
        (tmp_path / f"{number}.png").write_bytes(b"no image at all")
    survey_result = look(tmp_path)
    assert survey_result.rejected == {"missing": 8, "not_an_image": 3}
    assert survey_result.rejection is not None
    assert survey_result.rejection.startswith("task ")
    assert "11 of 38 images cannot be read (missing 8, not_an_image 3)" in survey_result.rejection
    assert "labels.csv line 32: no file 'gone0.png'" in survey_result.rejection


def test_names_that_are_not_utf8_go_all_the_way(tmp_path: Path, evaluated) -> None:
    for number in range(24):
        label = (b"caf\xe9", b"caf\xe8")[number % 2]
        name = os.fsdecode(bytes(tmp_path) + b"/" + label + b"/n\xff%d \xe2\x80\xaf.png" % number)
        picture(Path(name), number)
    survey_result = look(tmp_path)
    assert survey_result.classes == {r"caf\xe8": 12, r"caf\xe9": 12}
    assert survey_result.rejection is None
    survey_result.model_dump_json().encode("utf-8")
    assert evaluated(tmp_path, survey_result.task) == (None, {})


def test_what_is_proposed_survives_a_round_trip(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / f"{number}.png", number)
    (tmp_path / "l.tsv").write_text("".join(f"{n}.png\t{'ab'[n % 2]}\n" for n in range(20)))
    survey_result = look(tmp_path)
    assert SurveyResult.model_validate_json(survey_result.model_dump_json()) == survey_result
    assert (survey_result.layout, survey_result.task.header, survey_result.task.delimiter) == (
        "csv",
        False,
        "\t",
    )


def test_images_of_a_flat_test_folder_are_counted_once(tmp_path: Path) -> None:
    names = [f"{part}/{label}/{n}.png" for part in ("train", "val") for label in "ab" for n in range(3)]
    for shade, name in enumerate([*names, "test/1.png", "test/2.png"]):
        picture(tmp_path / name, shade)
    survey_result = look(tmp_path)
    assert (survey_result.files, survey_result.images, survey_result.unlabelled, survey_result.parts) == (
        14,
        12,
        2,
        {"train": 6, "val": 6},
    )


def test_further_lists_and_a_guessed_encoding_are_a_warning(tmp_path: Path) -> None:
    for n in range(20):
        picture(tmp_path / f"{n}.png", n)
    rows = [f"{n}.png;{('año', 'niño')[n % 2]}\n" for n in range(20)]
    (tmp_path / "train.csv").write_bytes("".join(["image;label\n", *rows[:12]]).encode("latin-1"))
    (tmp_path / "valid.csv").write_bytes("".join(["image;label\n", *rows[12:]]).encode("latin-1"))
    (tmp_path / "classes.txt").write_text("1 año\n2 niño\n")
    survey_result = look(tmp_path)
    assert (survey_result.images, survey_result.unlabelled, set(survey_result.classes)) == (
        12,
        8,
        {"año", "niño"},
    )
    assert survey_result.warnings[:2] == (
        "train.csv is not UTF-8; it is read as cp1252. Set task.encoding where that is wrong.",
        "valid.csv also names images; only train.csv is read. For further labels or splits, put all rows into one list, "
        "with a column of splits.",
    )
