"""A file has its name only when it is complete, and an error leaves nothing, such as that of a full disk."""

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from vise_core.files.whole import is_part, whole_file

ROOT = Path(__file__).parents[3]


def test_it_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with whole_file(target, durable=True) as part:
        part.write_text("new")
        assert is_part(part.name)
        assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "new"


@pytest.mark.parametrize("durable", [False, True])
def test_only_a_durable_file_has_its_content_and_then_its_name_on_the_disk(
    tmp_path: Path, durable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    target = tmp_path / "a.txt"
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with whole_file(target, durable=durable) as part:
        part.write_text("new")
        name = part.name
    assert synced == ([(name, False), (tmp_path.name, True)] if durable else [])


def test_a_file_system_that_syncs_no_folders_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with whole_file(tmp_path / "a.txt", durable=True) as part:
        part.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("durable", [False, True])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, durable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)

    def write() -> None:
        with whole_file(target, durable=durable) as part:
            part.write_text("half")
            if not durable:
                full()

    with pytest.raises(OSError, match="No space"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"


def test_a_second_name_of_the_same_file_is_no_rest(tmp_path: Path) -> None:
    """Linux renames nothing where both names are of one file."""
    target = tmp_path / "a.txt"
    target.write_text("same")
    with whole_file(target) as part:
        os.link(target, part)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


OTHERS = {
    "vise_core/files/download.py": "an interrupted download is continued",
    "vise_core/formats/posts.py": "a shard is written over many calls; abandon() removes it",
    "vise_core/evaluate/cache.py": "removes what killed processes left",
    "vise_client/commands/models.py": "copies a whole folder, and begins by removing what an earlier copy left",
    "backend/store/upkeep/backup.py": "writes a whole folder, and begins by removing what an earlier backup left",
    "vise_core/files/whole.py": "the one way",
}
"""Files that name parts themselves, and why."""


def test_there_is_one_way_to_write_a_file_whole() -> None:
    rooms = [ROOT / name for name in ("vise_core", "backend", "worker", "vise_client", "frontend")]
    sources = [path for room in rooms for path in room.rglob("*.py")]
    renames = re.compile(r"""["'.{}\w]*\.part["']""")
    found = {
        str(path.relative_to(ROOT)) for path in sources if renames.search(path.read_text(encoding="utf-8"))
    }
    assert found == set(OTHERS), "use whole_file, or say here why not"
