import json
import os
from pathlib import Path

import pytest

from vise_core.errors import BadInput
from vise_core.specs.tasks.kinds import CsvTask, FolderTask
from vise_core.tasks import RejectedImages, load_task, unreadable_images

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


@pytest.mark.parametrize(
    "content", ['{"synthetic": "yes"}', "[]", "{", "[" * 200_000], ids=lambda text: text[:30]
)
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


def parts(task) -> dict[str, tuple[str | None, str]]:
    """{path: (split, class)}."""
    published = task.published or [None] * len(task)
    return {
        task.relative_path(i): (published[i], task.classes[label])
        for i, label in enumerate(task.labels.tolist())
    }


@pytest.mark.parametrize(
    ("val", "test"), [("val", "test"), ("valid", None), ("validation", "testing"), (None, "Test")]
)
def test_folders_named_as_splits_are_the_published_split(
    tmp_path: Path, picture, val: str | None, test: str | None
):
    for part in filter(None, ("train", val, test)):
        for name in ("cat", "dog"):
            picture(tmp_path / part / name / "deep" / f"{part}.png")
    task = load_task(FOLDER, tmp_path)
    assert task.classes == ("cat", "dog")
    wanted = {f"train/{name}/deep/train.png": ("train", name) for name in ("cat", "dog")}
    wanted |= {f"{val}/{name}/deep/{val}.png": ("val", name) for name in ("cat", "dog") if val}
    wanted |= {f"{test}/{name}/deep/{test}.png": ("test", name) for name in ("cat", "dog") if test}
    assert parts(task) == wanted
    assert "are the published split" in task.notes[0]


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (["train/a.png", "test/b.png"], ("test", "train")),
        (["train/steam/a.png", "car/b.png", "test/steam/c.png"], ("car", "test", "train")),
        (["val/cat/a.png", "test/cat/b.png"], ("test", "val")),
        (["train/steam/a.png", "test/drive/b.png"], ("test", "train")),
    ],
)
def test_classes_that_are_only_named_as_splits_stay_classes_and_it_is_said(
    tmp_path: Path, picture, files: list[str], classes: tuple[str, ...]
):
    for name in files:
        picture(tmp_path / name)
    task = load_task(FOLDER, tmp_path)
    assert (task.classes, task.published) == (classes, None)
    assert "not a split" in task.notes[0]


def test_a_test_folder_without_classes_is_left_out_and_counted(tmp_path: Path, picture):
    for name in (
        "train/cat/a.png",
        "train/dog/b.png",
        "val/cat/c.png",
        "val/dog/d.png",
        "test/1.png",
        "test/2.png",
    ):
        picture(tmp_path / name)
    task = load_task(FOLDER, tmp_path)
    assert (len(task), task.unlabelled, set(task.published)) == (4, 2, {"train", "val"})


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (["train/cat/a.png", "train/dog/b.png", "test/1.png"], "nothing could be judged"),
        (
            ["train/cat/a.png", "val/cat/b.png", "train/c.png"],
            r"train/ holds 1 images outside of class folders",
        ),
        (["train/cat/a.png", "test/cat/b.png", "test/c.png"], r"test/ holds 1 images outside .* test/c\.png"),
    ],
)
def test_a_part_that_mixes_classes_and_images_of_none_is_refused(
    tmp_path: Path, picture, files: list[str], complaint: str
):
    for name in files:
        picture(tmp_path / name)
    with pytest.raises(BadInput, match=complaint):
        load_task(FOLDER, tmp_path)


def test_classes_missing_in_a_part_are_said(tmp_path: Path, picture):
    for name in ("train/cat/a.png", "train/dog/b.png", "test/cat/c.png"):
        picture(tmp_path / name)
    assert "test has no image of dog." in load_task(FOLDER, tmp_path).notes


@pytest.mark.parametrize("wrapper", ["images", "train", "My set/images"])
def test_the_only_folder_with_classes_in_it_is_entered(tmp_path: Path, picture, wrapper: str):
    for name in ("cat", "dog"):
        picture(tmp_path / wrapper / name / "a.png")
    (tmp_path / "README.txt").write_text("x")
    task = load_task(FOLDER, tmp_path)
    assert (task.classes, task.published) == (("cat", "dog"), None)
    assert task.relative_path(0) == f"{wrapper}/cat/a.png"
    assert task.notes[0] == f"The classes are the folders in {wrapper}/."


def test_classes_that_look_alike_are_said_and_kept_apart(tmp_path: Path, picture):
    for name in ("joy", "Joy", "caf\u00e9", "cafe\u0301"):
        picture(tmp_path / name / "a.png")
    task = load_task(FOLDER, tmp_path)
    assert len(task.classes) == 4
    assert task.notes == (
        "The classes 'Joy' and 'joy' differ by case or Unicode normalisation only; they are kept apart. If they are one "
        "class, give them one name.",
        r"The classes 'cafe\u0301' and 'caf\xe9' differ by case or Unicode normalisation only; they are kept apart. If "
        "they are one class, give them one name.",
    )


def test_names_that_are_not_utf8_are_kept_apart_and_escaped(tmp_path: Path, picture):
    for raw in (b"caf\xe9", b"caf\xe8"):
        picture(Path(os.fsdecode(bytes(tmp_path) + b"/" + raw + b"/a\xff.png")))
    task = load_task(FOLDER, tmp_path)
    assert task.classes == (r"caf\xe8", r"caf\xe9")
    assert [task.relative_path(i) for i in range(2)] == [r"caf\xe8/a\xff.png", r"caf\xe9/a\xff.png"]
    assert unreadable_images(task) == []


def test_names_in_a_csv_are_found_in_every_spelling(tmp_path: Path, picture):
    for name in ("img/cafe\u0301.png", "img/b.png", "img/c.png", "img/d.png"):
        picture(tmp_path / name)
    rows = ["img/caf\u00e9.png,x", "img\\b.png,y", f"{tmp_path}/img/c.png,x", "./img//d.png,y"]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    task = load_task(CSV, tmp_path)
    assert [task.relative_path(i) for i in range(4)] == [
        "img/cafe\u0301.png", "img/b.png", "img/c.png", "img/d.png"
    ]  # fmt: skip


@pytest.mark.parametrize("again", ["img\\a.png", "img/../img/a.png", "img//a.png"])
def test_two_rows_of_one_file_are_refused_by_both_lines(tmp_path: Path, picture, again: str):
    picture(tmp_path / "img/a.png")
    (tmp_path / "labels.csv").write_text(f"path,label\nimg/a.png,x\n{again},y\n")
    with pytest.raises(
        BadInput, match=r"csv line 3: .* named in labels\.csv line 2, as 'x' there and as 'y' here"
    ):
        load_task(CSV, tmp_path)


def test_a_csv_may_have_no_header_another_encoding_and_a_folder_of_images(tmp_path: Path, picture):
    picture(tmp_path / "pictures/caf\u00e9.png"), picture(tmp_path / "pictures/b.png")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/all.tsv").write_bytes("caf\u00e9.png\tdésir\nb.png\tpeur\n".encode("cp1252"))
    spec = CsvTask(
        manifest="lists/all.tsv", delimiter="\t", encoding="cp1252", header=False, images="pictures",
        path_column="1", label_column="2",
    )  # fmt: skip
    assert parts(load_task(spec, tmp_path)) == {
        "pictures/caf\u00e9.png": (None, "désir"), "pictures/b.png": (None, "peur"),
    }  # fmt: skip
    with pytest.raises(BadInput, match=r"not utf-8 text: .* set task\.encoding"):
        load_task(spec.model_copy(update={"encoding": "utf-8"}), tmp_path)


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
    assert unreadable_images(task) == []
    (tmp_path / "joy/b.png").write_bytes(b"no image at all")
    whole = (tmp_path / "fear/a.png").read_bytes()
    (tmp_path / "fear/cut.png").write_bytes(whole[: len(whole) // 2])
    task = load_task(FOLDER, tmp_path)
    problems = unreadable_images(task)
    assert [problem.path for problem in problems] == ["fear/cut.png", "joy/b.png"]
    refusal = str(RejectedImages(task.name, len(task), problems))
    assert all(text in refusal for text in ("2 of 4 images cannot be read", "fear/cut.png", "joy/b.png"))


def test_a_row_of_a_csv_with_more_cells_than_columns_is_an_error_but_empty_ones_are_not(
    tmp_path: Path, picture
):
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.csv").write_text("path,label\na.png,red,\nb.png,black, white\n")
    with pytest.raises(BadInput, match=r"labels.csv line 3: the row has 3 cells, the header names 2 columns"):
        load_task(CSV, tmp_path)
    (tmp_path / "labels.csv").write_text("path,label,label\na.png,red,x\nb.png,black,y\n")
    with pytest.raises(BadInput, match="'label' more than once"):
        load_task(CSV, tmp_path)


def test_a_space_that_is_no_ascii_belongs_to_the_name_in_a_csv(tmp_path: Path, picture):
    for name in ("\u3000a.png", "b\u00a0.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.csv").write_text("path,label\n\u3000a.png ,red\n b\u00a0.png,blue\n")
    images = load_task(CSV, tmp_path)
    assert [images.relative_path(i) for i in range(2)] == ["\u3000a.png", "b\u00a0.png"]
