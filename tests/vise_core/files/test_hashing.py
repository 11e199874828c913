"""Identity of files and folders: what is different has another digest, and what was hashed is not read again."""

import hashlib
import json
import os
import socket
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vise_core.files import hashing
from vise_core.files.hash_cache import FILE, HashCache
from vise_core.files.hashing import (
    Snapshot,
    file_sha256,
    manifest,
    manifest_sha256,
    tree_manifest,
    tree_sha256,
)

LONG_AGO = 10**18


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VISE_CACHE", str(folder))
    return folder


@pytest.fixture
def settled(monkeypatch) -> None:
    """Files count as settled at once: change times cannot be set back, and two seconds are long."""
    monkeypatch.setattr(hashing, "SETTLED_NS", -(10**12))


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the files that are read."""
    read: list[str] = []
    original = hashing._read

    def counted(base, entry):
        read.append(entry.path)
        return original(base, entry)

    monkeypatch.setattr(hashing, "_read", counted)
    return read


def test_the_digest_of_a_plain_folder_is_that_of_its_sorted_json_manifest(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.txt").write_bytes(b"one")
    (tmp_path / "b.txt").write_bytes(b"")
    one, empty = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"").hexdigest()
    rows = [
        {"path": "b/x.txt", "sha256": one, "size": 3},
        {"path": "b.txt", "sha256": empty, "size": 0},
    ]
    assert tree_manifest(tmp_path) == manifest(tmp_path) == rows
    written = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    assert tree_sha256(tmp_path) == manifest_sha256(rows) == written
    assert tree_sha256(tmp_path / "b" / "x.txt") == file_sha256(tmp_path / "b" / "x.txt") == one


def different_trees(folder: Path) -> list[Path]:
    """Folders no two of which are the same."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("a")
    trees = []

    def tree(make) -> None:
        trees.append(folder / f"tree-{len(trees)}" / "root")
        trees[-1].mkdir(parents=True)
        make(trees[-1])

    tree(lambda root: None)
    tree(lambda root: (root / "cats").mkdir())
    tree(lambda root: (root / "cats" / "kittens").mkdir(parents=True))
    tree(lambda root: (root / "cats").write_text(""))
    tree(lambda root: (root / "cats").symlink_to("nowhere"))
    tree(lambda root: (root / "cats").symlink_to("elsewhere"))
    tree(lambda root: (root / "cats").symlink_to(outside))
    tree(lambda root: (root / "cats").symlink_to(outside / "a.txt"))
    tree(lambda root: (root / "cats").write_text("a"))
    tree(lambda root: (root / "cats").write_text("b"))
    tree(lambda root: ((root / "cats").mkdir(), (root / "cats" / "a.txt").write_text("a")))
    tree(lambda root: ((root / "cats").mkdir(), (root / "cats" / "b.txt").write_text("a")))
    tree(lambda root: os.mkfifo(root / "cats"))
    tree(lambda root: (root / os.fsdecode(b"caf\xe9")).write_text("a"))
    tree(lambda root: (root / os.fsdecode(b"caf\xe8")).write_text("a"))
    tree(lambda root: (root / "caf\\udce9").write_text("a"))
    tree(lambda root: (root / "cafe\u0301").write_text("a"))
    tree(lambda root: (root / "caf\u00e9").write_text("a"))
    tree(lambda root: ((root / "a").write_text("ab"), (root / "b").write_text("")))
    tree(lambda root: ((root / "a").write_text("a"), (root / "b").write_text("b")))
    return trees


def test_no_two_different_trees_have_the_same_digest(tmp_path):
    trees = different_trees(tmp_path)
    digests = [tree_sha256(tree) for tree in trees]
    assert len(set(digests)) == len(trees)
    for tree, digest in zip(trees, digests, strict=True):
        rows = manifest(tree)
        assert manifest_sha256(json.loads(json.dumps(rows))) == manifest_sha256(rows) == digest


def test_what_lies_behind_a_linked_folder_counts_and_a_link_to_a_folder_above_ends(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("a")
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "real")
    (root / "above").symlink_to("..")
    before = tree_sha256(root)
    assert [row["path"] for row in tree_manifest(root)].count("linked/a.txt") == 1
    (tmp_path / "real" / "a.txt").write_text("b")
    assert tree_sha256(root) != before


def test_files_that_cannot_be_read_are_in_the_manifest(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    original = os.open

    def failing(path, *rest, **named):
        if str(path).endswith("a.txt"):
            raise PermissionError(13, "Permission denied")
        return original(path, *rest, **named)

    monkeypatch.setattr(os, "open", failing)
    rows = manifest(tmp_path)
    assert [(row["path"], row.get("kind")) for row in rows] == [("a.txt", "unreadable"), ("b.txt", None)]
    before = Snapshot.take(tmp_path)
    (tmp_path / "a.txt").write_text("another")
    assert before.changes() == ["a.txt changed"]
    assert tree_sha256(tmp_path) != before.sha256


def test_a_socket_and_a_pipe_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        folder = Path.cwd()
        os.chdir(tmp_path)
        try:
            listener.bind("socket")
        finally:
            os.chdir(folder)
        assert [row["kind"] for row in manifest(tmp_path)] == ["special", "special"]


@pytest.mark.usefixtures("settled")
def test_a_file_is_read_once(tmp_path, reads):
    for name in ("a/1", "a/2", "b/1", "top"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    first = tree_sha256(tmp_path)
    assert sorted(reads) == ["a/1", "a/2", "b/1", "top"]
    reads.clear()
    assert tree_sha256(tmp_path) == first
    assert file_sha256(tmp_path / "top") == tree_sha256(tmp_path / "top")
    assert reads == []


@pytest.mark.usefixtures("settled")
def test_another_content_is_noticed_though_size_and_modification_time_are_the_same(tmp_path, reads):
    path = tmp_path / "a.txt"
    path.write_text("old")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    before = tree_sha256(tmp_path)
    time.sleep(0.02)
    path.write_text("new")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    reads.clear()
    assert tree_sha256(tmp_path) != before
    assert reads == ["a.txt"]


def test_a_file_that_changed_just_now_is_read_again(tmp_path, reads):
    (tmp_path / "a.txt").write_text("a")
    tree_sha256(tmp_path)
    tree_sha256(tmp_path)
    assert reads == ["a.txt", "a.txt"]


@pytest.mark.usefixtures("settled")
def test_a_damaged_row_of_the_cache_is_not_believed(tmp_path, cache, reads):
    (tmp_path / "a.txt").write_text("a")
    right = tree_sha256(tmp_path)
    with sqlite3.connect(cache / FILE) as db:
        db.execute("UPDATE files SET sha256 = ?", (b"\0" * 32,))
    db.close()
    assert tree_sha256(tmp_path) == right
    assert reads == ["a.txt", "a.txt"]


@pytest.mark.parametrize("damage", ["garbage", "cut off", "a folder", "no folder", "locked"])
@pytest.mark.usefixtures("settled")
def test_without_a_usable_cache_digests_are_the_same(tmp_path, cache, damage, monkeypatch):
    (tmp_path / "a.txt").write_text("a")
    right, file = tree_sha256(tmp_path), cache / FILE
    holder = None
    if damage == "garbage":
        file.write_bytes(b"not a database" * 1000)
    elif damage == "cut off":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "a folder":
        file.unlink()
        file.mkdir()
    elif damage == "no folder":
        monkeypatch.setenv("VISE_CACHE", str(tmp_path / "a.txt" / "below"))
    else:
        monkeypatch.setattr("vise_core.files.hash_cache.WAIT_SECONDS", 0.1)
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
    assert tree_sha256(tmp_path) == right
    (tmp_path / "b.txt").write_text("b")
    assert tree_sha256(tmp_path) != right
    if holder is not None:
        holder.close()


def _hash_often(folder: Path, times: int) -> None:
    hashing.SETTLED_NS = -(10**12)
    for _ in range(times):
        (folder / f"{os.getpid()}.txt").write_text(str(time.time_ns()))
        rows = {row["path"]: row["sha256"] for row in manifest(folder)}
        own = folder / f"{os.getpid()}.txt"
        assert rows[own.name] == file_sha256(own)


def test_several_processes_share_the_cache(tmp_path):
    for number in range(20):
        (tmp_path / f"shared-{number}").write_text(str(number))
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        done = [pool.submit(_hash_often, tmp_path, 10) for _ in range(4)]
        for each in done:
            each.result()
    right = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    assert {row["path"]: row["sha256"] for row in manifest(tmp_path)} == right


def test_a_cache_that_grew_too_large_is_emptied(cache, monkeypatch):
    facts = hashing.FileFacts(1, 2, 3, 4, 5)
    first = HashCache()
    first.put("/folder", {"a": (facts, "00" * 32)})
    assert first.get("/folder") == {"a": (facts, "00" * 32)}
    first.close()
    monkeypatch.setattr("vise_core.files.hash_cache.MOST_BYTES", 0)
    second = HashCache()
    assert second.get("/folder") == {}
    second.close()


def test_changes_are_named(tmp_path):
    for name in ("same", "changed", "gone", "touched", "swapped"):
        (tmp_path / name).write_text(name)
    before = Snapshot.take(tmp_path)
    assert before.changes() == []
    (tmp_path / "changed").write_text("CHANGED")
    (tmp_path / "gone").unlink()
    (tmp_path / "touched").touch()
    (tmp_path / "new").write_text("new")
    (tmp_path / ".DS_Store").write_text("the system's own")
    (tmp_path / "swapped").unlink()
    (tmp_path / "swapped").symlink_to("same")
    assert before.changes() == ["changed changed", "gone vanished", "new appeared", "swapped changed"]


def test_a_folder_that_vanished_has_lost_every_file(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / os.fsdecode(b"\xff")).write_text("a")
    before = Snapshot.take(tmp_path / "root")
    (tmp_path / "root").rename(tmp_path / "elsewhere")
    assert before.changes() == ["\\xff vanished"]


@pytest.mark.usefixtures("settled")
def test_only_what_has_another_status_is_read_for_changes(tmp_path, reads):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    before = Snapshot.take(tmp_path)
    reads.clear()
    (tmp_path / "b").touch()
    assert before.changes() == []
    assert reads == ["b"]


def test_whoever_watches_hears_of_all_bytes_and_may_end_it(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"123")
    heard: list[tuple[int, int]] = []
    tree_sha256(tmp_path, on_progress=lambda done, total: heard.append((done, total)))
    assert heard == [(5, 8), (8, 8)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tree_sha256(tmp_path, on_progress=stop)


names = st.text("ab", min_size=1, max_size=2)
trees = st.recursive(
    st.binary(max_size=2), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6
)


def write(tree: bytes | dict, place: Path) -> None:
    if isinstance(tree, bytes):
        place.write_bytes(tree)
        return
    place.mkdir()
    for name, inner in tree.items():
        write(inner, place / name)


@settings(max_examples=60, deadline=None)
@given(a=st.dictionaries(names, trees, max_size=3), b=st.dictionaries(names, trees, max_size=3))
def test_digests_are_equal_where_and_only_where_trees_are(a, b, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    write(a, folder / "a")
    write(b, folder / "b")
    assert (tree_sha256(folder / "a") == tree_sha256(folder / "b")) == (a == b)
    assert bool(Snapshot.take(folder / "a").changes()) is False
