"""Names of files as text, and the files that a data file names."""

import json
import os
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vise_core.files import names
from vise_core.files.names import FileFinder, OutsideFolder, lookalikes, printable_name, printable_text

BYTES = st.binary(min_size=1, max_size=8).map(os.fsdecode)
TEXTS = st.text(st.characters() | st.sampled_from("\\xu0\udce9\ud800\x00é\u202f\u202e"), max_size=8)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("joy/a.png", "joy/a.png"),
        ("Screenshot 10.32.07\u202fAM.png", "Screenshot 10.32.07\u202fAM.png"),
        ("a\u00a0b\u3000c.png", "a\u00a0b\u3000c.png"),
        ("👩\u200d👩\u200d👧.png", "👩\u200d👩\u200d👧.png"),
        ("cafe\u0301.png", "cafe\u0301.png"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        (r"caf\xe9.png", r"caf\\xe9.png"),
        (r"joy\a.png", r"joy\a.png"),
        ("a\nb\0.png", r"a\x0ab\x00.png"),
        ("a\x85b.png", r"a\u0085b.png"),
        ("gnp.\u202ea", r"gnp.\u202ea"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_names_are_escaped_only_where_they_must_be(name: str, text: str) -> None:
    assert printable_name(name) == text


@settings(deadline=None)
@given(one=BYTES | TEXTS, other=BYTES | TEXTS)
def test_different_names_stay_different_and_can_be_written_anywhere(one: str, other: str) -> None:
    assert (printable_name(one) == printable_name(other)) == (one == other)
    text = printable_name(one)
    assert json.loads(json.dumps(text).encode("utf-8")) == text
    assert pa.array([text]).to_pylist() == [text]
    assert "\0" not in text


@settings(deadline=None)
@given(TEXTS)
def test_text_is_escaped_once(text: str) -> None:
    once = printable_text(text)
    assert printable_text(once) == once
    once.encode("utf-8")
    assert "\0" not in once
    kept = "".join(c for c in text if c != "\0" and not "\ud800" <= c <= "\udfff")
    assert kept == text or once != text


def test_names_that_look_alike_are_found() -> None:
    names = ["joy", "Joy", "fear", "caf\u00e9", "cafe\u0301", "cafe"]
    assert lookalikes(names) == [("Joy", "joy"), ("cafe\u0301", "caf\u00e9")]
    assert lookalikes(["joy", "joy", "fear"]) == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for name in (
        "images/a.png",
        "images/cafe\u0301.png",
        "images/deep/b.png",
        "both/\u00e9.png",
        "both/e\u0301.png",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_a_name_is_found_however_it_is_spelled(root: Path) -> None:
    finder = FileFinder(root)
    assert finder.find("images/a.png") == "images/a.png"
    assert finder.find("./images//a.png") == "images/a.png"
    assert finder.find("images/caf\u00e9.png") == "images/cafe\u0301.png"
    assert finder.find("images\\deep\\b.png") == "images/deep/b.png"
    assert finder.find(f"{root}/images/a.png") == "images/a.png"
    assert finder.find("a.png", ("", "images")) == "images/a.png"
    assert finder.find("both/\u00e9.png") == "both/\u00e9.png"
    assert finder.find("both/e\u0301.png") == "both/e\u0301.png"


@pytest.mark.parametrize("name", ["", "images/none.png", "images", "a\0.png", "x" * 5000, "half \ud83d.png"])
def test_what_is_not_there_is_not_found(root: Path, name: str) -> None:
    assert FileFinder(root).find(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "../out.png",
        "images/../../out.png",
        "images\\..\\..\\out.png",
        "/etc/hostname",
        "C:\\a.png",
        "link/out.png",
    ],
)
def test_nothing_outside_is_found(root: Path, name: str) -> None:
    (root.parent / "elsewhere").mkdir()
    for place in (root.parent / "out.png", root.parent / "elsewhere/out.png"):
        place.write_bytes(b"secret")
    (root / "link").symlink_to(root.parent / "elsewhere")
    with pytest.raises(OutsideFolder, match="leads out"):
        FileFinder(root).find(name)


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="/\0\\", codec="utf-8"), min_size=1, max_size=5), max_size=4
    )
)
def test_every_spelling_of_a_listed_name_is_found_or_missing(tmp_path_factory, names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("spelled")
    names = [name for name in names if name not in (".", "..")]
    for name in names:
        (folder / name).write_bytes(b"x")
    finder = FileFinder(folder)
    for name in names:
        assert finder.find(name) == name
        same = {n for n in names if unicodedata.normalize("NFC", n) == unicodedata.normalize("NFC", name)}
        other = unicodedata.normalize("NFD", name)
        if len(same) == 1 and len(other.encode()) < 200:
            assert finder.find(other) == name


def test_many_missing_files_cost_no_resolving_of_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "images").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    finder, resolved = FileFinder(root), []
    contained = names.contained
    monkeypatch.setattr(names, "contained", lambda *a: (resolved.append(a), contained(*a))[1])
    assert [finder.find(f"images/{n}.png") for n in range(1000)] == [None] * 1000
    assert len(resolved) == 1
    for name in ("link/missing.png", "link/also.png"):
        with pytest.raises(OutsideFolder):
            finder.find(name)
    (root / "images" / "5.png").write_bytes(b"x")
    assert finder.find("images/5.png") == "images/5.png"
