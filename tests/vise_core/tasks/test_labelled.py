import json
from pathlib import Path

import pytest

from vise_core.errors import BadInput
from vise_core.specs.tasks import CsvTask, FolderTask
from vise_core.tasks import load_task, require_readable

FOLDER, CSV = FolderTask(name="moods"), CsvTask(name="moods")


def test_the_first_folder_under_the_root_is_the_class(tmp_path: Path, picture):
    for path in ("joy/deep/er/b.png", "joy/a.jpg", "anger/c.PNG"):
        picture(tmp_path / path)
    task = load_task(FOLDER, tmp_path)
    assert task.classes == ("anger", "joy")
    assert [task.relative_path(i) for i in range(len(task))] == [
        "anger/c.PNG",
        "joy/a.jpg",
        "joy/deep/er/b.png",
    ]
    assert task.labels.tolist() == [0, 1, 1]
    assert task.published is None
    assert not task.synthetic


def test_masks_hidden_files_and_other_files_are_no_images(tmp_path: Path, picture):
    for path in (
        "joy/a.png",
        "fear/b.png",
        "masks/joy/a.png",
        ".cache/x.png",
        "joy/._a.png",
        "joy/.thumbs/a.png",
    ):
        picture(tmp_path / path)
    (tmp_path / "joy/notes.txt").write_text("x")
    assert len(load_task(FOLDER, tmp_path)) == 2


def test_number_classes_sort_by_number(tmp_path: Path, picture):
    for name in ("10", "2", "1"):
        picture(tmp_path / name / "a.png")
    assert load_task(FOLDER, tmp_path).classes == ("1", "2", "10")


@pytest.mark.parametrize("content", ['{"synthetic": "yes"}', "[]", "{"])
def test_dataset_json_says_whether_images_are_synthetic(tmp_path: Path, picture, content: str):
    for name in ("joy", "fear"):
        picture(tmp_path / name / "a.png")
    (tmp_path / "dataset.json").write_text(json.dumps({"synthetic": True, "images": 2}))
    assert load_task(FOLDER, tmp_path).synthetic
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(BadInput, match=r"dataset\.json"):
        load_task(FOLDER, tmp_path)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path, picture):
    secret = picture(tmp_path / "elsewhere/secret.png")
    root = tmp_path / "set"
    picture(root / "joy/a.png"), picture(root / "fear/a.png")
    (root / "joy/b.png").symlink_to(secret)
    with pytest.raises(BadInput, match="leads out of the data set's folder"):
        load_task(FOLDER, root)
    (root / "joy/b.png").unlink()
    (root / "linked").symlink_to(secret.parent)
    assert load_task(FOLDER, root).classes == ("fear", "joy")


def test_one_class_is_no_task(tmp_path: Path, picture):
    picture(tmp_path / "joy/a.png")
    with pytest.raises(BadInput, match="at least two classes"):
        load_task(FOLDER, tmp_path)


def test_a_folder_without_images_says_what_is_expected(tmp_path: Path):
    with pytest.raises(BadInput, match=r"no images in .*<class>/<image>"):
        load_task(FOLDER, tmp_path)


def test_a_csv_file_names_paths_labels_and_splits(tmp_path: Path, picture):
    picture(tmp_path / "img/a.png"), picture(tmp_path / "img/b.png")
    (tmp_path / "labels.csv").write_text(
        "\ufeffpath,label,split\nimg/b.png,right,dev\nimg/a.png,left,train\n"
    )
    task = load_task(CSV, tmp_path)
    assert task.classes == ("left", "right")
    assert task.labels.tolist() == [1, 0]
    assert task.published == ("val", "train")


def test_a_csv_file_may_have_another_layout(tmp_path: Path, picture):
    picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    (tmp_path / "m.txt").write_text("local_path|side\na.png|l\nb.png|r\n")
    spec = CsvTask(manifest="m.txt", delimiter="|", path_column="local_path", label_column="side")
    assert load_task(spec, tmp_path).published is None


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("path,tag\n", r"no column 'label'; it has 'path', 'tag'"),
        ("path,label\n", "no rows"),
        ("path,label\na.png,x\na.png,y\n", "line 3: 'a.png' was already named in line 2"),
        ("path,label\na.png,\n", "line 2: label is empty"),
        ("path,label\nnone.png,x\n", "line 2: no file 'none.png'"),
        ("path,label\n../out.png,x\n", "line 2: .*leads out"),
        ("path,label\n/etc/hostname,x\n", "line 2: .*leads out"),
        ("path,label,split\na.png,x,later\n", "line 2: split is 'later'"),
        ('path,label\n"a.png,x\n', "labels.csv line"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, picture, rows: str, complaint: str):
    picture(tmp_path / "set/a.png"), picture(tmp_path / "out.png")
    (tmp_path / "set/labels.csv").write_text(rows)
    with pytest.raises(BadInput, match=complaint):
        load_task(CSV, tmp_path / "set")


def test_unreadable_images_are_listed_and_the_task_refused(tmp_path: Path, picture):
    picture(tmp_path / "joy/a.png"), picture(tmp_path / "fear/a.png")
    task = load_task(FOLDER, tmp_path)
    require_readable(task)
    (tmp_path / "joy/b.png").write_bytes(b"no image at all")
    whole = (tmp_path / "fear/a.png").read_bytes()
    (tmp_path / "fear/cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="2 of 4 images cannot be read") as refusal:
        require_readable(load_task(FOLDER, tmp_path))
    assert "fear/cut.png" in str(refusal.value)
    assert "joy/b.png" in str(refusal.value)
