"""A look through a data set, and the way from an archive to one."""

import json
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from vise_core.data import fetch, survey
from vise_core.data.layout import recognise, unwrapped
from vise_core.data.survey_images import THUMBNAIL
from vise_core.errors import BadInput
from vise_core.reporter import LocalReporter
from vise_core.specs.fetch import FetchSpec
from vise_core.specs.survey import SurveySpec


def write_images(folder: Path, counts: dict[str, int]) -> Path:
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (40, 30), (number * 10, 90, 30)).save(folder / label / f"{number}.png")
    return folder


def look(folder: Path, tmp_path: Path, **spec):
    reporter = LocalReporter(tmp_path / "artifacts")
    return survey.run(SurveySpec(**spec), {"dataset": folder}, tmp_path / "work", reporter)


def test_a_folder_of_classes_is_counted_with_its_balance_and_samples(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", {"cat": 22, "dog": 2})
    (folder / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff not really")
    survey_result = look(folder, tmp_path, samples=4)
    assert (survey_result.layout, survey_result.images, survey_result.classes) == (
        "folder",
        25,
        {"cat": 22, "dog": 3},
    )
    assert sum(survey_result.rejected.values()) == 1
    assert any("cannot be read" in warning for warning in survey_result.warnings)
    told = json.loads((tmp_path / "work/survey/survey.json").read_text())
    labels = [sample["label"] for sample in told["samples"]]
    assert {"cat", "dog"} <= set(labels)
    for sample in told["samples"]:
        with Image.open(tmp_path / "work/survey" / sample["file"]) as picture:
            assert max(picture.size) <= THUMBNAIL


def test_uneven_labels_are_a_warning(tmp_path: Path) -> None:
    survey_result = look(write_images(tmp_path / "images", {"cat": 22, "dog": 2}), tmp_path)
    assert survey_result.warnings == ("Uneven labels: the largest class has 22 images, the smallest 2.",)


def test_published_splits_of_a_csv_are_counted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", {"cat": 2, "dog": 2})
    rows = [
        "path,label,split",
        "cat/0.png,cat,train",
        "cat/1.png,cat,test",
        "dog/0.png,dog,train",
        "dog/1.png,dog,test",
    ]
    (folder / "labels.csv").write_text("\n".join(rows))
    survey_result = look(folder, tmp_path)
    assert (survey_result.layout, survey_result.parts) == ("csv", {"train": 2, "test": 2})


def test_posts_are_counted_and_what_ingest_would_refuse_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "posts"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(folder / "images" / "a.png")
    rows = [
        {"id": "1", "image": "a.png", "comments": []},
        {"id": "2", "image": "../../secret", "comments": []},
    ]
    (folder / "posts.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\nnot json\n")
    survey_result = look(folder, tmp_path, kind="posts")
    assert (survey_result.layout, survey_result.images) == ("jsonl", 3)
    assert survey_result.rejected == {"outside_folder": 1, "not_json": 1}


def test_an_unknown_layout_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "notes.md").write_text("hello")
    survey_result = look(tmp_path / "odd", tmp_path)
    assert survey_result.layout == "unknown"
    assert "one folder per class" in survey_result.warnings[0]


def test_an_archive_becomes_data_without_the_folder_around_it(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "My images", {"cat": 2, "dog": 2})
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(folder, "My images")
    reporter = LocalReporter(tmp_path / "artifacts")
    result = fetch.run(FetchSpec(), {"archive": tmp_path / "a.tar.gz"}, tmp_path / "work", reporter)
    assert (result.layout, result.images, result.files) == ("folder", 4, 4)
    assert sorted(p.name for p in unwrapped(tmp_path / "work/data").iterdir()) == ["cat", "dog"]


def test_members_with_strange_names_are_counted_and_the_others_are_there(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "set", {"cat": 12, "dog": 12})
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(folder, "set")
        picture = folder / "cat/0.png"
        for name in (
            "set/cat/line\nend.png",
            "set/cat/" + "x" * 300 + ".png",
            os.fsdecode(b"set/cat/caf\xe9.png"),
        ):
            tar.add(picture, name)
        tar.add(picture, "set/cat/10.32.07\u202fAM.png")
    reporter = LocalReporter(tmp_path / "artifacts")
    result = fetch.run(FetchSpec(), {"archive": tmp_path / "a.tar"}, tmp_path / "work", reporter)
    assert (result.images, result.classes) == (26, {"cat": 14, "dog": 12})
    assert result.rejected == {"control_character": 1, "name_too_long": 1}
    assert result.rejection is None
    assert result.warnings[:2] == (
        r"2 members of the archive were rejected for their names, such as 'set/cat/line\x0aend.png' has a control "
        "character in its name. Rename them and pack again.",
        "1 names in the archive are not UTF-8; each such byte is written as %E9 in the file's name: "
        "set/cat/caf%E9.png.",
    )
    examples = json.loads((tmp_path / "work/survey/survey.json").read_text())["examples"]
    assert [example["reason"] for example in examples] == ["control_character", "name_too_long"]


def test_both_or_neither_of_address_and_archive_are_refused(tmp_path: Path) -> None:
    reporter = LocalReporter(tmp_path / "artifacts")
    with pytest.raises(BadInput, match="either an address or an uploaded archive"):
        fetch.run(FetchSpec(), {}, tmp_path / "work", reporter)


@pytest.mark.parametrize(
    ("files", "layout"),
    [
        (["images.txt", "train_test_split.txt", "images/1.jpg"], "cub"),
        (["train.jsonl", "dev.jsonl", "img/1.png"], "hateful_memes"),
        (["train/n01440764/1.JPEG", "val/n01440764/2.JPEG"], "imagenet"),
        ([f"{e}/1.jpg" for e in ("anger", "fear", "joy", "love", "sadness", "surprise")], "unbiased_emotion"),
        (["happy/1.jpg", "sad/1.jpg"], "folder"),
        (["labels.csv", "1.jpg"], "csv"),
    ],
)
def test_layouts_are_told_by_their_names(tmp_path: Path, files: list[str], layout: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert recognise(tmp_path, "images") == layout
