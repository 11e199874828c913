"""The paper's tasks, read from the layouts in which they are published: good ones and broken ones."""

import json
import shutil
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from vise_core.errors import BadInput
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import (
    CubTask,
    HatefulMemesTask,
    ImagenetTask,
    PoliticsTask,
    Task,
    UnbiasedEmotionTask,
)
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks import load_task, task_splits
from vise_core.tasks.labelled import READERS

EMOTION, POLITICS, MEMES, CUB, IMAGENET = (
    UnbiasedEmotionTask(),
    PoliticsTask(),
    HatefulMemesTask(),
    CubTask(),
    ImagenetTask(),
)


def named(task) -> dict[str, str]:
    """{path: class}."""
    return {task.relative_path(i): task.classes[task.labels[i]] for i in range(len(task))}


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_kind_has_a_reader_and_the_papers_have_facts():
    kinds = {
        variant["properties"]["kind"]["const"]
        for variant in TypeAdapter(Task).json_schema()["$defs"].values()
    }
    assert kinds == set(READERS) == set(TASKS) | {"folder", "csv"}


# UnbiasedEmotion


def test_unbiased_emotion_takes_the_first_folder_as_the_emotion(tmp_path: Path, layouts):
    task = load_task(EMOTION, layouts.emotions(tmp_path))
    assert task.classes == ("anger", "fear", "joy", "love", "sadness", "surprise")
    assert named(task)["joy/joy_dog/1.jpg"] == "joy"
    assert len(task) == 12
    assert task.published is None
    assert task.texts is None


def test_folders_in_capitals_are_the_same_emotions(tmp_path: Path, layouts):
    layouts.emotions(tmp_path)
    (tmp_path / "joy").rename(tmp_path / "Joy")
    assert named(load_task(EMOTION, tmp_path))["Joy/joy_dog/0.jpg"] == "joy"


@pytest.mark.parametrize("given", ["", "images", "UnbiasedEmotion"])
def test_the_archive_and_its_folder_of_images_are_both_read(tmp_path: Path, layouts, given: str):
    layouts.emotions(tmp_path / "UnbiasedEmotion/images")
    (tmp_path / "UnbiasedEmotion/README.txt").write_text("x")
    root = tmp_path / "UnbiasedEmotion" / ("images" if given == "images" else "")
    task = load_task(EMOTION, tmp_path if given == "UnbiasedEmotion" else root)
    assert task.relative_path(0) == f"{'' if given == 'images' else 'images/'}anger/anger_dog/0.jpg"
    assert len(task) == 12


def test_a_seventh_emotion_is_not_left_out_in_silence(tmp_path: Path, layouts):
    layouts.picture(layouts.emotions(tmp_path) / "contempt/0.jpg")
    with pytest.raises(BadInput, match=r"'contempt'.* none of anger, fear"):
        load_task(EMOTION, tmp_path)


def test_a_missing_emotion_is_named(tmp_path: Path, layouts):
    shutil.rmtree(layouts.emotions(tmp_path) / "love")
    with pytest.raises(BadInput, match="no images of love"):
        load_task(EMOTION, tmp_path)


# Politics


@pytest.mark.parametrize("reexport", [False, True])
def test_politics_keeps_test_and_draws_val_from_train(tmp_path: Path, layouts, reexport: bool):
    task = load_task(POLITICS, layouts.politics(tmp_path, reexport=reexport))
    assert task.classes == ("left", "right")
    assert named(task)["right/1.jpg"] == "right"
    (split,) = task_splits(task, SplitSpec(count=1))
    assert split.sizes == (18, 2, 4)
    assert split.test.tolist() == [20, 21, 22, 23]


@pytest.mark.parametrize("delimiter", ["|", "\t", ";"])
def test_the_manifest_tells_its_own_delimiter(tmp_path: Path, layouts, delimiter: str):
    path = layouts.politics(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace(",", delimiter))
    assert len(load_task(POLITICS, tmp_path)) == 24


def test_two_manifests_must_be_told_apart(tmp_path: Path, layouts):
    shutil.copy(layouts.politics(tmp_path) / "manifest.csv", tmp_path / "other.csv")
    with pytest.raises(BadInput, match=r"holds manifest\.csv, other\.csv; exactly one manifest"):
        load_task(POLITICS, tmp_path)
    assert len(load_task(PoliticsTask(manifest="other.csv"), tmp_path)) == 24


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("path,label,split", "image,side,part", r"header is 'image,side,part'; it must name path"),
        ("left/2.jpg,left", "left/2.jpg,centre", r"manifest\.csv line 4: label is 'centre'; one of left, right"),
        ("left/2.jpg,left,train", "left/2.jpg,left,later", "line 4: split is 'later'"),
        ("left/2.jpg,left", "left/no.jpg,left", r"line 4: no file 'left/no\.jpg'"),
        ("left/2.jpg,left", "../2.jpg,left", r"line 4: '\.\./2\.jpg' leads out"),
        ("left/2.jpg,left", "left/../../2.jpg,left", "line 4: .*leads out"),
        ("left/2.jpg,left", "/etc/hostname,left", "line 4: '/etc/hostname' leads out"),
        ("left/2.jpg,left", "left/0.jpg,right", r"line 4: 'left/0\.jpg' was already named in line 2"),
        ("left/2.jpg,left", "./left/0.jpg,right", r"line 4: 'left/0\.jpg' was already named in line 2"),
    ],
)  # fmt: skip
def test_a_bad_politics_row_is_named(tmp_path: Path, layouts, old: str, new: str, complaint: str):
    layouts.picture(tmp_path / "2.jpg")
    change(layouts.politics(tmp_path / "set") / "manifest.csv", old, new)
    with pytest.raises(BadInput, match=complaint):
        load_task(POLITICS, tmp_path / "set")


def test_a_linked_folder_that_leads_out_is_refused(tmp_path: Path, layouts):
    layouts.politics(tmp_path / "set")
    (tmp_path / "set/left").rename(tmp_path / "elsewhere")
    (tmp_path / "set/left").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"line 2: 'left/0\.jpg' leads out"):
        load_task(POLITICS, tmp_path / "set")


# Hateful Memes


def test_phase_1_trains_on_train_and_reports_on_dev(tmp_path: Path, layouts):
    task = load_task(MEMES, layouts.memes(tmp_path, {"train": [0, 1, 1], "dev": [1, 0]}))
    assert task.classes == ("not hateful", "hateful")
    assert task.labels.tolist() == [0, 1, 1, 1, 0]
    assert task.published == ("train", "train", "train", "val", "val")
    assert task.texts == tuple(f"sentence {n} 😂" for n in range(1, 6))
    assert task.relative_path(3) == "img/00004.png"
    assert task_splits(task, SplitSpec(count=1))[0].sizes == (3, 2, 0)


def test_a_test_file_without_labels_is_left_out_and_counted(tmp_path: Path, layouts):
    layouts.memes(tmp_path, {"train": [0, 1], "dev": [1, 0], "test": [None, None, None]})
    assert load_task(MEMES, tmp_path).unlabelled == 0, "test is not used unless it is named"
    task = load_task(HatefulMemesTask(test="test"), tmp_path)
    assert (len(task), task.unlabelled) == (4, 3)
    assert task.texts is not None
    assert len(task.texts) == 4


def test_phase_2_names_its_files(tmp_path: Path, layouts):
    layouts.memes(tmp_path, {"train": [0, 1], "dev_seen": [1, 0], "dev_unseen": [1], "test_seen": [0, 1, 1]})
    task = load_task(HatefulMemesTask(val="dev_seen", test="test_seen"), tmp_path)
    assert task_splits(task, SplitSpec())[0].sizes == (2, 2, 3)
    with pytest.raises(BadInput, match=r"train train, val dev, .*no file 'dev\.jsonl'"):
        load_task(MEMES, tmp_path)


def test_one_file_cannot_be_two_splits():
    with pytest.raises(ValidationError, match="different files, not train, dev, dev"):
        HatefulMemesTask(test="dev")


def test_a_meme_in_two_files_is_refused(tmp_path: Path, layouts):
    layouts.memes(tmp_path, {"train": [0, 1], "dev_seen": [1, 0], "dev_unseen": [1, 0]})
    repeated = (tmp_path / "dev_seen.jsonl").read_text().splitlines()[0]
    with (tmp_path / "dev_unseen.jsonl").open("a") as file:
        file.write(repeated + "\n")
    spec = HatefulMemesTask(val="dev_seen", test="dev_unseen")
    with pytest.raises(
        BadInput, match=r"dev_unseen\.jsonl line 3: id '3' was already named in dev_seen\.jsonl line 1"
    ):
        load_task(spec, tmp_path)


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        ({"label": 2}, "label must be 0 .* or 1 .*, not 2"),
        ({"label": True}, "label must be 0"),
        ({"label": None}, "no label; an unlabelled file can be test only"),
        ({"img": "img/nowhere.png"}, r"no file 'img/nowhere\.png'"),
        ({"img": "../outside.png"}, r"'\.\./outside\.png' leads out"),
        ({"img": "/etc/hostname"}, "'/etc/hostname' leads out"),
        ({"img": "img/\0.png"}, "is not a path"),
        ({"img": 7}, "img must be a path"),
        ({"text": None}, "text must be a string"),
        ({"id": None}, "id must be a number"),
        ({"id": 1}, "id '1' was already named in train.jsonl line 1"),
        ({"id": 99, "img": "img/00001.png"}, r"image 'img/00001\.png' was already named in train\.jsonl line 1"),
    ],
)  # fmt: skip
def test_a_bad_meme_is_named(tmp_path: Path, layouts, new: dict, complaint: str):
    layouts.picture(tmp_path / "outside.png")
    root = layouts.memes(tmp_path / "set", {"train": [0, 1], "dev": [1, 0]})
    lines = (root / "train.jsonl").read_text().splitlines()
    (root / "train.jsonl").write_text(lines[0] + "\n" + json.dumps(json.loads(lines[1]) | new) + "\n")
    with pytest.raises(BadInput, match=r"^train\.jsonl line 2: .*" + complaint):
        load_task(MEMES, root)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 5: not JSON"),
        ("[" * 200_000, "line 5: not JSON"),
        ("[1]", "line 5: a JSON object is expected, not list"),
    ],
    ids=["cut", "deep", "list"],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, layouts, line: str, complaint: str):
    root = layouts.memes(tmp_path, {"train": [0, 1, 1], "dev": [1, 0]})
    with (root / "train.jsonl").open("a") as file:
        file.write("\n" + line + "\n")
    with pytest.raises(BadInput, match=rf"train\.jsonl {complaint}"):
        load_task(MEMES, root)


# CUB-200-2011


def test_cub_is_joined_on_the_id_and_its_test_part_is_val(tmp_path: Path, layouts):
    task = load_task(CUB, layouts.cub(tmp_path))
    assert task.classes == ("001.Bird_1", "002.Bird_2", "003.Bird_3")
    assert all(path.split("/")[1] == name for path, name in named(task).items())
    (split,) = task_splits(task, SplitSpec())
    assert split.sizes == (6, 3, 0)
    assert {task.relative_path(i)[-8:] for i in split.val} == {"0002.jpg"}


@pytest.mark.parametrize("folders", ["CUB_200_2011", "CUB_200_2011/CUB_200_2011"])
def test_a_doubled_folder_is_entered(tmp_path: Path, layouts, folders: str):
    layouts.cub(tmp_path / folders)
    (tmp_path / "README").write_text("x")
    task = load_task(CUB, tmp_path)
    assert len(task) == 9
    assert task.relative_path(0).startswith(f"{folders}/images/001.")


def test_without_class_names_the_numbers_are_the_classes(tmp_path: Path, layouts):
    (layouts.cub(tmp_path, species=11) / "classes.txt").unlink()
    assert load_task(CUB, tmp_path).classes == tuple(map(str, range(1, 12)))


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("images.txt", "9 001.", "10 001.", r"images\.txt line 1: image id 10 is not in image_class_labels\.txt"),
        ("image_class_labels.txt", "9 1\n", "", r"images\.txt line 1: image id 9 is not in image_class_labels\.txt"),
        ("train_test_split.txt", "9 1\n", "", r"image id 9 is not in train_test_split\.txt"),
        ("image_class_labels.txt", "9 1", "8 1", r"id 8 was already in image_class_labels\.txt line 8"),
        ("image_class_labels.txt", "9 1", "9 201", r"image_class_labels\.txt line 9: class '201'; a number from 1"),
        ("image_class_labels.txt", "9 1", "9 0", "class '0'"),
        ("image_class_labels.txt", "9 1", "9 2", r"label 2 for image 9, which is '001\.Bird_1/.* in images\.txt line 1"),
        ("train_test_split.txt", "9 1", "9 2", r"train_test_split\.txt line 9: '2'; 1 \(train\) or 0"),
        ("images.txt", "Bird_1_0000", "Bird_1_0007", r"images\.txt line 1: no file 'images/001\.Bird_1/Bird_1_0007"),
        ("images.txt", "001.Bird_1/Bird_1_0000", "../../outside", r"images\.txt line 1: .*leads out"),
        ("images.txt", "001.Bird_1/Bird_1_0000.jpg", "/etc/hostname", r"'/etc/hostname' leads out"),
        ("images.txt", "9 001", "nine 001", r"images\.txt line 1: .*is not '<id> <value>'"),
    ],
)  # fmt: skip
def test_a_bad_cub_line_is_named(tmp_path: Path, layouts, name: str, old: str, new: str, complaint: str):
    layouts.picture(tmp_path / "outside.jpg")
    change(layouts.cub(tmp_path / "set") / name, old, new)
    with pytest.raises(BadInput, match=complaint):
        load_task(CUB, tmp_path / "set")


def test_a_missing_list_is_named(tmp_path: Path, layouts):
    (layouts.cub(tmp_path) / "train_test_split.txt").unlink()
    with pytest.raises(BadInput, match=r"no file 'train_test_split\.txt'"):
        load_task(CUB, tmp_path)


# ImageNet


def test_imagenet_has_train_and_val(tmp_path: Path, layouts):
    task = load_task(IMAGENET, layouts.imagenet(tmp_path))
    assert task.classes == ("n01440764", "n01443537")
    assert task.published == ("train",) * 4 + ("val",) * 2
    assert named(task)["val/n01443537/ILSVRC2012_val_00000002.JPEG"] == "n01443537"
    assert task_splits(task, SplitSpec())[0].sizes == (4, 2, 0)


@pytest.mark.parametrize("left", [0, 1])
def test_a_flat_val_folder_says_how_to_mend_it(tmp_path: Path, layouts, left: int):
    layouts.imagenet(tmp_path)
    flat = sorted((tmp_path / "val").glob("*/*.JPEG"))[left:]
    for path in flat:
        path.rename(tmp_path / "val" / path.name)
        path.parent.rmdir()
    told = rf"val/ holds {len(flat)} images outside of class folders.*Move each into val/<wnid>/"
    with pytest.raises(BadInput, match=told):
        load_task(IMAGENET, tmp_path)


def test_train_images_outside_of_class_folders_are_not_left_out_in_silence(tmp_path: Path, layouts):
    layouts.picture(layouts.imagenet(tmp_path) / "train/n01440764_7.JPEG")
    with pytest.raises(BadInput, match=r"train/ holds 1 images outside of class folders; unpack each class"):
        load_task(IMAGENET, tmp_path)


def test_other_breakages_of_imagenet_are_named(tmp_path: Path, layouts):
    layouts.imagenet(tmp_path)
    (tmp_path / "train/n99999999").mkdir()
    layouts.picture(tmp_path / "train/n99999999/a.JPEG")
    with pytest.raises(BadInput, match=r"val/ has no images of 1 classes, such as n99999999"):
        load_task(IMAGENET, tmp_path)
    shutil.rmtree(tmp_path / "val")
    with pytest.raises(BadInput, match=r"no folder val/"):
        load_task(IMAGENET, tmp_path)
    (tmp_path / "train/n99999999").rename(tmp_path / "train/tench")
    with pytest.raises(BadInput, match=r"train/tench is no WordNet id"):
        load_task(IMAGENET, tmp_path)
