"""What ``verify_task`` says of whole, incomplete and unusable sets."""

import pickle
import shutil
from pathlib import Path

import pytest

from vise_core.errors import BadInput
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import (
    CubTask,
    FolderTask,
    HatefulMemesTask,
    ImagenetTask,
    PoliticsTask,
    UnbiasedEmotionTask,
)
from vise_core.tasks import load_task, unreadable_images
from vise_core.tasks.verify import expected_counts, verify_task

MEMES = HatefulMemesTask()


@pytest.fixture
def small_memes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Table 8 in which Hateful Memes has 4 / 2 images, so that a small set can be whole."""
    entry = TASKS["hateful_memes"].model_copy(update={"counts": {"train": 4, "val": 2}})
    monkeypatch.setitem(TASKS, "hateful_memes", entry)


def found(report) -> dict[str, int]:
    return {split.split: split.found for split in report.splits}


def test_a_whole_set_is_complete(tmp_path: Path, layouts, small_memes):
    report = verify_task(MEMES, layouts.memes(tmp_path, {"train": [0, 1, 1, 0], "dev": [1, 0]}))
    assert (report.verdict, report.usable, report.images) == ("complete", True, 6)
    assert [(s.split, s.found, s.expected) for s in report.splits] == [("train", 4, 4), ("val", 2, 2)]
    assert report.splits[0].classes == {"not hateful": 2, "hateful": 2}
    assert report.sentences == ("Complete: the counts are those of Table 8.",)
    numbers = (report.missing, report.unreadable, report.shared, report.repeated)
    assert [listed.number for listed in numbers] == [0, 0, 0, 0]


def test_fewer_images_than_published_are_incomplete_but_usable(tmp_path: Path, layouts):
    report = verify_task(CubTask(), layouts.cub(tmp_path))
    assert (report.verdict, report.usable) == ("incomplete", True)
    assert (report.classes_found, report.classes_expected) == (3, 200)
    assert report.sentences[:3] == (
        "train: 6 images, 5,994 are published (5,988 missing).",
        "val: 3 images, 5,794 are published (5,791 missing).",
        "3 of 200 classes have images.",
    )
    assert "do not compare with the paper's" in report.sentences[-1]


def test_more_images_than_published_are_not_the_published_set(tmp_path: Path, layouts, small_memes):
    report = verify_task(MEMES, layouts.memes(tmp_path, {"train": [0, 1, 1, 0, 1], "dev": [1, 0]}))
    assert report.verdict == "incomplete"
    assert "(1 too many)" in report.sentences[0]


def test_random_splits_are_counted_as_an_evaluation_draws_them(tmp_path: Path, layouts):
    emotions = verify_task(UnbiasedEmotionTask(), layouts.emotions(tmp_path / "emotions", each=5))
    assert found(emotions) == {"train": 21, "val": 3, "test": 6}
    assert sum(sum(split.classes.values()) for split in emotions.splits) == 30
    politics = verify_task(PoliticsTask(), layouts.politics(tmp_path / "politics"))
    assert found(politics) == {"train": 18, "val": 2, "test": 4}
    assert [split.expected for split in politics.splits] == [607_306, 67_478, 75_148]


def test_every_missing_file_is_counted_and_the_first_are_named(tmp_path: Path, layouts):
    root = layouts.memes(tmp_path, {"train": [0, 1] * 5, "dev": [1, 0]})
    for number in range(3, 8):
        (root / f"img/{number:05}.png").unlink()
    report = verify_task(MEMES, root, name_first=2)
    assert (report.verdict, report.usable, report.images) == ("unusable", False, 7)
    assert report.missing.number == 5
    assert report.missing.first == (
        "img/00003.png (train.jsonl line 3)",
        "img/00004.png (train.jsonl line 4)",
    )
    assert any("5 files that the lists name are missing" in sentence for sentence in report.sentences)
    assert found(report) == {"train": 5, "val": 2}
    with pytest.raises(BadInput, match=r"5 of 12 files are missing"):
        load_task(MEMES, root)


def test_unreadable_images_make_it_unusable_as_an_evaluation_would_say(tmp_path: Path, layouts):
    root = layouts.memes(tmp_path, {"train": [0, 1, 1], "dev": [1, 0]})
    (root / "img/00002.png").write_bytes(b"no image at all")
    whole = (root / "img/00003.png").read_bytes()
    (root / "img/00003.png").write_bytes(whole[: len(whole) // 2])
    report = verify_task(MEMES, root)
    assert (report.verdict, report.unreadable.number) == ("unusable", 2)
    assert report.unreadable.first[0].startswith("img/00002.png: not an image")
    assert len(unreadable_images(load_task(MEMES, root))) == 2
    quick = verify_task(MEMES, root, decode=False)
    assert (quick.verdict, quick.decoded, quick.unreadable.number) == ("incomplete", False, 0)
    assert any("Files were not opened" in sentence for sentence in quick.sentences)


def test_the_same_file_in_two_splits_is_told_apart_from_one_twice_in_a_split(tmp_path: Path, layouts):
    root = layouts.memes(tmp_path, {"train": [0, 1, 1], "dev": [1, 0]})
    shutil.copy(root / "img/00001.png", root / "img/00005.png")
    shutil.copy(root / "img/00002.png", root / "img/00003.png")
    report = verify_task(MEMES, root)
    assert report.usable
    assert report.shared.first == ("img/00001.png (train, not hateful) = img/00005.png (val, not hateful)",)
    assert report.repeated.first == ("img/00002.png (train, hateful) = img/00003.png (train, hateful)",)
    assert any("in two splits, byte for byte" in sentence for sentence in report.sentences)


def test_repeats_that_random_splits_may_part_are_said(tmp_path: Path, layouts):
    root = layouts.emotions(tmp_path, each=5)
    for name in ("a", "b", "c", "d", "e"):
        shutil.copy(root / "joy/joy_dog/0.jpg", root / f"fear/{name}.jpg")
    report = verify_task(UnbiasedEmotionTask(), root)
    assert (report.shared.number, report.repeated.number) == (0, 1)
    assert report.repeated.first[0].endswith("and 2 more")
    assert any("random splits may part them" in sentence for sentence in report.sentences)


def test_unlabelled_test_rows_are_counted(tmp_path: Path, layouts):
    root = layouts.memes(tmp_path, {"train": [0, 1], "dev": [1, 0], "test": [None] * 3})
    report = verify_task(HatefulMemesTask(test="test"), root)
    assert (report.unlabelled, found(report)) == (3, {"train": 2, "val": 2})
    assert "3 test images have no label and are left out." in report.sentences


def test_other_files_than_the_papers_have_no_published_counts(tmp_path: Path, layouts, small_memes):
    spec = HatefulMemesTask(val="dev_unseen")
    assert expected_counts(spec) == {"train": 4}
    report = verify_task(spec, layouts.memes(tmp_path, {"train": [0, 1, 1, 0], "dev_unseen": [1, 0]}))
    assert report.verdict == "complete"
    assert "Table 8 states no counts for these splits" in report.sentences[-1]


@pytest.mark.parametrize("kind", ["nothing", "no lists", "a way out", "one class in val", "flat val"])
def test_what_an_evaluation_would_refuse_is_unusable_for_the_same_reason(kind: str, tmp_path: Path, layouts):
    root, spec = tmp_path / "set", MEMES
    if kind == "no lists":
        root.mkdir()
    elif kind == "a way out":
        layouts.picture(tmp_path / "outside.png")
        layouts.memes(root, {"train": [0, 1], "dev": [1, 0]})
        path = root / "train.jsonl"
        path.write_text(path.read_text().replace("img/00001.png", "../outside.png"))
    elif kind == "one class in val":
        layouts.memes(root, {"train": [0, 1], "dev": [1, 1]})
    elif kind == "flat val":
        spec = ImagenetTask()
        layouts.picture(layouts.imagenet(root) / "val/ILSVRC2012_val_00000009.JPEG")
        for folder in ("n01440764", "n01443537"):
            shutil.rmtree(root / "val" / folder)
    report = verify_task(spec, root)
    assert report.verdict == "unusable"
    reason = {
        "nothing": "is not a folder",
        "no lists": "no file 'train.jsonl'",
        "a way out": "leads out of the data set's folder",
        "one class in val": "ROC AUC is not defined",
        "flat val": "Move each into val/<wnid>/",
    }[kind]
    assert any(reason in sentence for sentence in report.sentences)
    assert report.sentences[-1] == "Unusable: an evaluation would fail."


def test_a_users_own_set_is_judged_by_its_files_alone(tmp_path: Path, layouts):
    report = verify_task(FolderTask(name="moods"), layouts.emotions(tmp_path, each=3))
    assert (report.verdict, report.classes_expected, report.title) == ("complete", None, "moods")
    assert {split.expected for split in report.splits} == {None}


def test_progress_is_told_for_every_file(tmp_path: Path, layouts):
    told: list[tuple[int, int]] = []
    root = layouts.memes(tmp_path, {"train": [0, 1], "dev": [1, 0]})
    verify_task(MEMES, root, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_releases_of_politics_and_unbiased_emotion_are_known(tmp_path: Path, layouts):
    """Given the archive as it unpacks: a folder around everything."""
    layouts.emotions(tmp_path / "emotion/UnbiasedEmotion/images")
    report = verify_task(UnbiasedEmotionTask(), tmp_path / "emotion", decode=False)
    assert (report.images, report.verdict) == (12, "incomplete")
    root = tmp_path / "politics/Politics"
    paths = [f"imgs/{('LEFT', 'RIGHT')[n % 2]}/guns/source/{n}.jpg" for n in range(24)]
    for path in paths:
        layouts.picture(root / path)
    lists = {"train_imgs": paths[:20], "test_imgs": [*paths[20:], "imgs/LEFT/guns/source/gone.jpg"]}
    (root / "train_test_paths.pickle").write_bytes(pickle.dumps(lists))
    report = verify_task(PoliticsTask(), tmp_path / "politics", decode=False)
    assert report.verdict == "unusable"
    assert report.missing.first == ("imgs/LEFT/guns/source/gone.jpg (train_test_paths.pickle test_imgs[4])",)
    assert {split.split: split.found for split in report.splits} == {"train": 18, "val": 2, "test": 4}
