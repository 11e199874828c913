"""Politics as its authors release it: a pickle of lists, of which nothing is run."""

import pickle
from pathlib import Path

import pytest

from vise_core.errors import BadInput
from vise_core.specs.tasks.kinds import PoliticsTask
from vise_core.tasks import load_task

POLITICS = PoliticsTask()


def named(task) -> dict[str, str]:
    """{path: class}."""
    return {task.relative_path(i): task.classes[task.labels[i]] for i in range(len(task))}


def released(root: Path, layouts, lists: dict, protocol: int = 4) -> Path:
    """imgs/LEFT|RIGHT/<issue>/<source>/<n>.jpg, 20 of them, and the pickle."""
    for number in range(20):
        side = ("LEFT", "RIGHT")[number % 2]
        layouts.picture(
            root / f"imgs/{side}/gun control/source.com/{number}.jpg", 60 + 120 * (number % 2), seed=number
        )
    (root / "train_test_paths.pickle").write_bytes(pickle.dumps(lists, protocol))
    return root


def released_paths(prefix: str, numbers: range, left: str = "LEFT", right: str = "RIGHT") -> list[str]:
    return [f"{prefix}{(left, right)[n % 2]}/gun control/source.com/{n}.jpg" for n in numbers]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("keys", [("train_imgs", "test_imgs"), ("train", "test")])
def test_the_released_pickle_names_splits_and_sides(
    tmp_path: Path, layouts, protocol: int, keys: tuple[str, str]
):
    parts = [released_paths("imgs/", range(16)), released_paths("imgs/", range(16, 20))]
    task = load_task(POLITICS, released(tmp_path, layouts, dict(zip(keys, parts, strict=True)), protocol))
    assert task.classes == ("left", "right")
    assert task.published == ("train",) * 16 + ("test",) * 4
    assert named(task)["imgs/RIGHT/gun control/source.com/17.jpg"] == "right"
    assert task.labels.tolist() == [0, 1] * 10


@pytest.mark.parametrize(
    ("prefix", "sides"),
    [
        ("", ("LEFT", "RIGHT")),
        ("imgs/", ("left", "right")),
        ("./imgs/", ("Left", "Right")),
        ("/srv/wright/left/Politics/imgs/", ("LEFT", "RIGHT")),
        ("D:\\politics\\imgs\\", ("LEFT", "RIGHT")),
        ("/data/", ("left", "right")),
    ],
)
def test_paths_of_the_authors_machine_are_matched_from_the_side_on(
    tmp_path: Path, layouts, prefix: str, sides: tuple[str, str]
):
    lists = {
        "train_imgs": released_paths(prefix, range(16), *sides), "test_imgs": released_paths(prefix, range(16, 20), *sides)
    }  # fmt: skip
    task = load_task(POLITICS, released(tmp_path / "set", layouts, lists))
    assert task.relative_path(3) == "imgs/RIGHT/gun control/source.com/3.jpg"
    assert len(task) == 20


def test_pickles_of_python_2_hold_bytes(tmp_path: Path, layouts):
    lists = {
        "train_imgs": released_paths("imgs/", range(16)),
        "test_imgs": released_paths("imgs/", range(16, 20)),
    }
    layouts.picture(tmp_path / "imgs/LEFT/gun control/source.com/caf\u00e9.jpg")
    root = released(tmp_path, layouts, lists)
    # As Python 2's pickle writes {'train_imgs': ['…'], …} in protocol 2: SHORT_BINSTRING for str.
    body = b"".join(
        b"U" + bytes([len(item)]) + item + b"q\x01"
        for item in (
            path.encode() for path in [*lists["train_imgs"], "imgs/LEFT/gun control/source.com/caf\u00e9.jpg"]
        )
    )
    test = b"".join(b"U" + bytes([len(item)]) + item.encode() for item in lists["test_imgs"])
    (root / "train_test_paths.pickle").write_bytes(
        b"\x80\x02}q\x00(U\ntrain_imgs](" + body + b"eU\ttest_imgs](" + test + b"eu."
    )
    task = load_task(POLITICS, root)
    assert (len(task), task.relative_path(16)) == (21, "imgs/LEFT/gun control/source.com/caf\u00e9.jpg")


class Hostile:
    def __reduce__(self):
        return (Path.touch, (Path("/tmp/vise-owned"),))


HOSTILE = {
    "a call": pickle.dumps({"train_imgs": [Hostile()], "test_imgs": []}),
    "a class": pickle.dumps({"train_imgs": Path}),
    "numbers": pickle.dumps({"train_imgs": [1, 2]}),
    "a tuple": pickle.dumps({"train_imgs": ("imgs/LEFT/a.jpg", "b")}),
    "a memo bomb": b"\x80\x02]r\xff\xff\xff\x7f.",
    "a long string": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "a long bytearray": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "half of it": pickle.dumps({"train_imgs": ["a" * 100]})[:-40],
    "no pickle": b"path,label\n",
    "nothing": b"",
    "a key of a list": b"\x80\x02}(]U\x01ae.",
    "a name that was never put": b"\x80\x02h\x05.",
    "ten thousand lists in each other": b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b".",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_run_nothing_and_are_refused_in_a_sentence(tmp_path: Path, layouts, content: bytes):
    root = released(tmp_path, layouts, {})
    (root / "train_test_paths.pickle").write_bytes(content)
    with pytest.raises(BadInput, match=r"^train_test_paths\.pickle"):
        load_task(POLITICS, root)
    assert not Path("/tmp/vise-owned").exists()


@pytest.mark.parametrize(
    ("lists", "complaint"),
    [
        ({"train_imgs": ["imgs/LEFT/a.jpg"]}, r"no list test_imgs or test; it has 'train_imgs'"),
        (
            {"train_imgs": ["imgs/a.jpg"], "test_imgs": ["b"]},
            r"train_imgs\[0\]: no folder left or right in 'imgs/a\.jpg'",
        ),
        (
            {"train_imgs": ["imgs/LEFT/a.jpg"], "test_imgs": [["b"]]},
            r"test_imgs\[0\]: a path is expected, not a list",
        ),
        (
            {"train_imgs": ["imgs/LEFT/../../../a.jpg"], "test_imgs": ["imgs/RIGHT/b.jpg"]},
            r"train_imgs\[0\]: .*leads out",
        ),
        (
            {"train_imgs": ["imgs/LEFT/a.jpg"], "test_imgs": ["imgs/RIGHT/b.jpg"]},
            r"train_imgs\[0\]: no file .*2 of 2 files",
        ),
        (
            {
                "train": ["imgs/LEFT/gun control/source.com/0.jpg"],
                "test": ["LEFT/gun control/source.com/0.jpg"],
            },
            r"test\[0\]: .* was already named in train_test_paths\.pickle train\[0\]",
        ),
    ],
)
def test_a_bad_entry_of_the_pickle_is_named(tmp_path: Path, layouts, lists: dict, complaint: str):
    with pytest.raises(BadInput, match=complaint):
        load_task(POLITICS, released(tmp_path, layouts, lists))


def test_a_pickle_may_be_named_and_a_manifest_beside_it_too(tmp_path: Path, layouts):
    lists = {"train": released_paths("imgs/", range(16)), "test": released_paths("imgs/", range(16, 20))}
    root = released(tmp_path, layouts, lists)
    (root / "train_test_paths.pickle").rename(root / "old.pkl")
    assert len(load_task(PoliticsTask(manifest="old.pkl"), root)) == 20
    layouts.politics(root)
    assert len(load_task(POLITICS, root)) == 24
