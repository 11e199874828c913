"""The checks of every evaluation: what two parts of a split share is counted right, whatever way it is shared."""

import io
from random import Random

import numpy as np
import pytest
from PIL import Image

from vise_core.files.hashing import file_digests
from vise_core.integrity import evaluation
from vise_core.integrity.cache import files_fingerprints
from vise_core.integrity.evaluation import check_evaluation
from vise_core.integrity.overlap import comparisons, duplicates_across, identical_links, links_of
from vise_core.specs.integrity import CHECKS, IntegrityLimits, IntegrityReport
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks import LabelledImages, Split, task_splits


def checked(
    images: LabelledImages, splits: list[Split], limits: IntegrityLimits | None = None
) -> IntegrityReport:
    return check_evaluation(images, splits, file_digests(images.paths), limits=limits)


def copy_of(data: bytes, copies, kind: str) -> bytes:
    return copies[kind](Image.open(io.BytesIO(data)), Random(0))


@pytest.fixture
def leaky(csv_task, sample_jpegs, copies):
    """20 train, 10 val, 10 test; test holds two files of train, one copy of train, one copy of val."""
    label = ["joy", "fear"]
    rows = [(sample_jpegs[n], label[n % 2], "train") for n in range(20)]
    rows += [(sample_jpegs[n], label[n % 2], "val") for n in range(20, 30)]
    rows += [(sample_jpegs[n], label[n % 2], "test") for n in range(30, 36)]
    rows += [
        (sample_jpegs[3], "fear", "test"),
        (sample_jpegs[4], "fear", "test"),  # was joy in train
        (copy_of(sample_jpegs[5], copies, "flipped"), "fear", "test"),
        (copy_of(sample_jpegs[21], copies, "5 % cut off every side"), "joy", "test"),
    ]
    return csv_task(rows)


def test_files_and_copies_shared_by_splits(leaky) -> None:
    report = checked(leaky, task_splits(leaky, SplitSpec()))
    same, copies = report.check("split_overlap"), report.check("split_near_duplicates")

    assert same.verdict == "failed"
    assert same.counts["affected"] == 2
    assert same.counts["share"] == 0.2
    assert same.counts["conflicting_labels"] == 1
    assert "2 of 10 test images (20.00 %)" in same.sentence
    assert [(e.first, e.second, e.kind, e.where) for e in same.examples] == [
        ("0003.jpg", "0036.jpg", "identical", "train / test"),
        ("0004.jpg", "0037.jpg", "identical", "train / test"),
    ]

    assert copies.verdict == "failed"
    assert copies.counts["affected"] == 2, "the two files that are the same are counted by the other check"
    assert [(e.first, e.second, e.kind, e.where) for e in copies.examples] == [
        ("0005.jpg", "0038.jpg", "mirrored copy", "train / test"),
        ("0021.jpg", "0039.jpg", "copy", "val / test"),
    ]
    assert all(0 < e.difference < 4 for e in copies.examples)
    assert report.verdict == "failed"


def test_a_clean_task_passes_and_every_check_is_told(csv_task, sample_jpegs) -> None:
    parts = ["train"] * 20 + ["val"] * 4 + ["test"] * 6
    images = csv_task([(sample_jpegs[n], "ab"[n % 2], part) for n, part in enumerate(parts)])
    report = checked(images, task_splits(images, SplitSpec()))
    assert [check.name for check in report.checks] == list(CHECKS)
    assert [check.verdict for check in report.checks] == ["ok"] * 3 + ["not_run"] * 3
    assert report.verdict == "ok"
    assert all(check.sentence.endswith(".") for check in report.checks)


def test_few_are_a_warning_many_a_failure(leaky) -> None:
    splits = task_splits(leaky, SplitSpec())
    report = checked(leaky, splits, limits=IntegrityLimits(overlap=0.2))
    assert report.check("split_overlap").verdict == "warning"


def test_without_a_test_set_val_is_checked_against_train(csv_task, sample_jpegs) -> None:
    rows = [(sample_jpegs[n], "ab"[n % 2], "train") for n in range(10)]
    rows += [(sample_jpegs[n], "ab"[n % 2], "val") for n in range(8, 14)]
    images = csv_task(rows)
    check = checked(images, task_splits(images, SplitSpec())).check("split_overlap")
    assert (check.counts["affected"], check.counts["reported"]) == (2, 6)
    assert "val images" in check.sentence


def test_random_splits_are_counted_one_by_one(csv_task, sample_jpegs, copies) -> None:
    """Against a plain count over all pairs of images."""
    sources = [*range(40), *range(12)]
    files = [sample_jpegs[n] for n in range(40)]
    files += [sample_jpegs[n] for n in range(6)]
    files += [copy_of(sample_jpegs[n], copies, "JPEG quality 50") for n in range(6, 12)]
    images = csv_task([(data, "ab"[n % 2], "") for n, data in enumerate(files)])
    assert images.published is None
    splits = task_splits(images, SplitSpec(count=4, seed=3))

    report = checked(images, splits)

    same, other = [], []
    for split in splits:
        seen = {*split.train.tolist(), *split.val.tolist()}
        equal = {i for i in split.test.tolist() if any(files[i] == files[j] for j in seen)}
        alike = {i for i in split.test.tolist() if any(sources[i] == sources[j] for j in seen)}
        same.append(len(equal))
        other.append(len(alike - equal))
    assert max(same) > 0
    assert max(other) > 0
    assert report.check("split_overlap").counts["affected"] == max(same)
    assert report.check("split_overlap").counts["share_mean"] == pytest.approx(
        np.mean([s / len(split.test) for s, split in zip(same, splits, strict=True)])
    )
    assert report.check("split_near_duplicates").counts["affected"] == max(other)


def test_files_linked_by_a_third_one_are_found_too(csv_task, sample_jpegs) -> None:
    """The first of three equal files is in val: the other two are in train and test."""
    rows = [(sample_jpegs[0], "a", "val"), (sample_jpegs[0], "a", "train"), (sample_jpegs[0], "a", "test")]
    rows += [(sample_jpegs[n], "ab"[n % 2], ("train", "val", "test")[n % 3]) for n in range(1, 13)]
    images = csv_task(rows)
    splits = task_splits(images, SplitSpec())
    swapped = [Split(splits[0].train, splits[0].test, splits[0].val)]
    for chosen in (splits, swapped):
        check = checked(images, chosen).check("split_overlap")
        assert check.counts["affected"] == 1
        assert len(check.examples) == 1


def test_one_split_is_compared_only_across_its_parts(leaky) -> None:
    splits = task_splits(leaky, SplitSpec())
    prints = files_fingerprints(leaky.paths, None)
    across = duplicates_across(prints, splits)
    within = duplicates_across(prints, [*splits, *splits])
    kinds = [{pair: link.kind for pair, link in links_of(m).items()} for m in (across, within)]
    assert kinds[0] == kinds[1], "here nothing is twice in one part"
    assert len(kinds[0]) == 4
    assert identical_links(prints.keys()).items() <= links_of(across).items()
    assert comparisons(40, splits) == 2 * (10 * 20 + 10 * 30)
    assert comparisons(40, [*splits, *splits]) == 1600


def test_a_task_that_is_too_large_is_still_checked_by_content(leaky, monkeypatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_COMPARISONS", 100)
    report = checked(leaky, task_splits(leaky, SplitSpec()))
    assert report.check("split_overlap").counts["affected"] == 2
    assert report.check("split_near_duplicates").verdict == "not_run"
    assert "run the stage integrity" in report.check("split_near_duplicates").sentence


def test_a_report_survives_json(leaky) -> None:
    report = checked(leaky, task_splits(leaky, SplitSpec()))
    assert type(report).model_validate_json(report.model_dump_json()) == report
