"""Whether a folder has changed is told by names, sizes and times."""

import os
from pathlib import Path

import pytest

from vise_core.files import listing
from vise_core.files.hashing import tree_sha256


def look(folder: Path) -> bytes:
    return listing.pack(listing.list_folder(folder))


def difference(before: bytes, folder: Path) -> listing.Difference:
    return listing.compare(listing.unpack(before), listing.list_folder(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/with\na line.jpg"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(b"four")
    return made


def test_what_nobody_touched_has_not_changed(folder: Path) -> None:
    assert difference(look(folder), folder) == (0, 0, 0, ())


def test_added_changed_and_removed_files_are_counted_and_named(folder: Path) -> None:
    before = look(folder)
    (folder / "cat/1.jpg").unlink()
    (folder / "dog/1.jpg").write_bytes(b"other")
    (folder / "owl").mkdir()
    (folder / "owl/1.jpg").write_bytes(b"new")
    changed = difference(before, folder)
    assert (changed.added, changed.changed, changed.removed) == (1, 1, 1)
    assert sorted(changed.first) == ["cat/1.jpg", "dog/1.jpg", "owl/1.jpg"]


def test_the_same_size_and_a_time_set_back_do_not_hide_a_change(folder: Path) -> None:
    before, file = look(folder), folder / "dog/1.jpg"
    was = file.stat()
    file.write_bytes(b"fooo")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert difference(before, folder).changed == 1


def test_links_and_empty_folders_count_as_they_do_in_the_digest(folder: Path, tmp_path: Path) -> None:
    before, digest = look(folder), tree_sha256(folder)
    (folder / "owl").mkdir()
    assert difference(before, folder).added == 1
    assert tree_sha256(folder) != digest
    (folder / "owl").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/9.jpg").write_bytes(b"x")
    (folder / "bird").symlink_to(tmp_path / "elsewhere")
    changed = difference(before, folder)
    assert "bird/9.jpg" in changed.first
    assert (changed.changed, changed.removed) == (0, 0)


def test_names_that_are_not_utf8_are_kept_apart(folder: Path) -> None:
    before = look(folder)
    for name in (b"\xe9.jpg", b"\xe8.jpg"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x")
    assert difference(before, folder).added == 2
    assert difference(look(folder), folder) == (0, 0, 0, ())


def test_an_empty_folder_has_an_empty_listing(tmp_path: Path) -> None:
    before = look(tmp_path)
    assert listing.unpack(before) == {}
    (tmp_path / "1.jpg").write_bytes(b"x")
    assert difference(before, tmp_path).added == 1


def test_a_folder_that_is_gone_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "gone")
