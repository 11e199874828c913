"""The identity of data and splits: contents count, names and orders do not."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vise_core.files.hashing import file_digests
from vise_core.specs.evaluation.results import EvaluationData
from vise_core.specs.tasks.kinds import CsvTask, FolderTask, Task
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks import LabelledImages, Split, load_task, task_splits
from vise_core.tasks.identity import evaluation_data, split_parts


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def identity(folder: Path, task: Task | None = None, *, texts: bool = False) -> EvaluationData:
    images = load_task(task or FolderTask(), folder)
    half = np.arange(len(images))
    # By content, so that the split is the same whatever the files are called.
    order = np.argsort([path.read_bytes() for path in images.paths])
    split = Split(order[half[:-2]], order[half[-2:-1]], order[half[-1:]])
    return evaluation_data(images, [split], file_digests(images.paths), texts=texts)


FILES = {"cat/1.png": b"a", "cat/2.png": b"b", "dog/1.png": b"c", "dog/2.png": b"d"}


def test_by_hand(tmp_path):
    data = identity(write(tmp_path, FILES))
    a, b, c, d = (hashlib.sha256(x).digest() for x in (b"a", b"b", b"c", b"d"))
    assert data.images == 4
    assert data.images_digest == hashlib.sha256(b"".join(sorted([a, b, c, d]))).hexdigest()
    pairs = [a + bytes(4), b + bytes(4), c + bytes([0, 0, 0, 1]), d + bytes([0, 0, 0, 1])]
    assert data.labels_digest == hashlib.sha256(b'["cat", "dog"]\n' + b"".join(sorted(pairs))).hexdigest()
    parts = [[hashlib.sha256(b"".join(sorted(p))).hexdigest() for p in ([a, b], [c], [d])]]
    assert data.splits_digest == hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    assert data.texts_digest == ""


def test_other_file_names_stray_files_and_a_csv_of_the_same_are_the_same_data(tmp_path):
    first = identity(write(tmp_path / "one", FILES))
    renamed = {
        "cat/z.png": b"a",
        "cat/x/y.jpg": b"b",
        "dog/0.png": b"d",
        "dog/9.png": b"c",
        "notes.txt": b"!",
    }
    assert identity(write(tmp_path / "two", renamed)) == first
    rows = b"path,label\n4,dog\n1,cat\n3,dog\n2,cat\n"
    listed = write(tmp_path / "three", {"labels.csv": rows, "1": b"a", "2": b"b", "3": b"c", "4": b"d"})
    assert identity(listed, CsvTask()) == first


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        ({"cat/1.png": b"A"}, {"images_digest", "labels_digest", "splits_digest"}),
        ({"dog/3.png": b"e"}, {"images", "images_digest", "labels_digest", "splits_digest"}),
    ],
)
def test_another_image_is_other_data(tmp_path, change, differ):
    data = identity(write(tmp_path / "a", FILES)).model_dump()
    other = identity(write(tmp_path / "b", FILES | change)).model_dump()
    assert {name for name in data if data[name] != other[name]} == differ


def test_relabelled_or_renamed_classes_are_other_data_of_the_same_images_and_splits(tmp_path):
    first = identity(write(tmp_path / "a", FILES))
    swapped = {"cat/1.png": b"a", "cat/2.png": b"c", "dog/1.png": b"b", "dog/2.png": b"d"}
    renamed = {path.replace("cat", "horse"): content for path, content in FILES.items()}
    for number, files in enumerate((swapped, renamed)):
        other = identity(write(tmp_path / str(number), files))
        assert other.labels_digest != first.labels_digest
        assert (other.images_digest, other.splits_digest) == (first.images_digest, first.splits_digest)


def test_texts_count_only_where_they_are_read(tmp_path):
    rows = b"path,label,text\n1,a,x\n2,b,y\n3,a,z\n4,b,w\n"
    images = {"1": b"1", "2": b"2", "3": b"3", "4": b"4"}
    one = write(tmp_path / "1", {"labels.csv": rows, **images})
    two = write(tmp_path / "2", {"labels.csv": rows.replace(b",x", b",X"), **images})
    task = CsvTask(text_column="text")
    assert identity(one, task) == identity(two, task)
    assert identity(one, task, texts=True).texts_digest != identity(two, task, texts=True).texts_digest


@given(st.permutations(range(12)), st.integers(0, 9), st.integers(0, 9))
def test_the_order_of_images_changes_nothing_and_another_seed_changes_the_splits(order, seed, other):
    root = Path("/data")
    digests = [hashlib.sha256(bytes([i])).digest() for i in range(12)]
    labels = np.array([0, 1] * 6)
    images = LabelledImages("t", root, tuple(root / str(i) for i in range(12)), labels, ("a", "b"))
    moved = LabelledImages("t", root, tuple(root / str(i) for i in order), labels[list(order)], ("a", "b"))
    splits = task_splits(images, SplitSpec(seed=seed))
    place = {image: i for i, image in enumerate(order)}
    same = [Split(*(np.array([place[i] for i in part.tolist()]) for part in split)) for split in splits]
    data = evaluation_data(images, splits, digests)
    assert evaluation_data(moved, same, [digests[i] for i in order]) == data
    assert (evaluation_data(images, task_splits(images, SplitSpec(seed=other)), digests) == data) == (
        seed == other
    )


def test_a_part_without_images_has_no_digest():
    digests = [bytes([i]) * 32 for i in range(3)]
    train, val, test = split_parts(Split(np.arange(2), np.array([2]), np.array([], dtype=np.int64)), digests)
    assert (len(train), len(val), test) == (64, 64, "")
