"""Identify files and folders by their content: digests, manifests, and detection of changed inputs.

A manifest lists the entries below a folder. A plain file has the row ``{"path", "sha256", "size"}``. Other entries
that distinguish two trees have further keys: links (``link`` is the target; linked folders are entered), empty
folders, unreadable files, broken links, and devices and pipes, which are never opened (``kind``).
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from .hash_cache import FileFacts, HashCache
from .names import printable_name

Row = dict[str, Any]
OnProgress = Callable[[int, int], None]
"""Called with the bytes that are hashed so far, and those to be hashed in all. May raise, which ends the hashing."""

SETTLED_NS = 2 * 10**9
"""A file that changed so short a time ago may change again without its times telling: its digest is not kept."""
QUEUED = 256
THREADS = 4


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(paths: Sequence[Path], *, threads: int = 2) -> list[bytes]:
    """Return the SHA-256 of each file's content, 32 bytes each."""
    with ThreadPoolExecutor(max(2, threads)) as pool:
        return [bytes.fromhex(sha256) for sha256 in pool.map(file_sha256, paths)]


def manifest(path: Path) -> list[Row]:
    """Return the manifest of a folder, sorted by path; one row for a file. Cached digests are used."""
    return Snapshot.take(path).rows()


def tree_manifest(path: Path, *, cached: bool = False) -> list[Row]:
    """Return [{path, sha256, size}] of the files below a folder, sorted by path; one row for a file.

    Lists only files, as in a copy of the folder. Reads every file, or with ``cached`` those whose digest is not cached.
    """
    cache = HashCache() if cached else None
    try:
        rows = [_row(entry) for entry in _hashed(path, walk(path), cache, None)]
    finally:
        if cache is not None:
            cache.close()
    return [{key: row[key] for key in ("path", "sha256", "size")} for row in rows if "kind" not in row]


def manifest_sha256(manifest: Iterable[Row]) -> str:
    """Return the SHA-256 of a manifest, which identifies a folder's content independent of place and dates."""
    return hashlib.sha256(json.dumps(list(manifest), sort_keys=True).encode()).hexdigest()


def tree_sha256(path: Path, *, on_progress: OnProgress | None = None) -> str:
    """Return the identity of a file (its SHA-256) or a folder (that of its manifest)."""
    return Snapshot.take(path, on_progress=on_progress).sha256


class Entry(NamedTuple):
    """A file, folder or link below a root. ``sha256`` is empty until it is hashed, and for entries without content."""

    path: str
    kind: str
    link: str | None
    facts: FileFacts
    sha256: str = ""
    settled: bool = False


FILE = "file"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Snapshot:
    """The content of a file or folder at one time.

    Attributes
    ----------
    path: where it lies.
    sha256: its identity.
    """

    path: Path
    sha256: str
    _packed: bytes = field(repr=False)

    @classmethod
    def take(cls, path: Path, *, on_progress: OnProgress | None = None) -> Snapshot:
        """Hash a file or folder; files in the cache are not read. ``on_progress`` is called with the bytes read."""
        cache = HashCache()
        try:
            entries = _hashed(path, walk(path), cache, on_progress)
        finally:
            cache.close()
        if not path.is_dir() and entries[0].kind == FILE:
            sha256 = entries[0].sha256
        else:
            sha256 = manifest_sha256(_row(entry) for entry in entries)
        # A million files are held as long as a run takes: packed, in a tenth of the memory.
        return cls(path, sha256, zlib.compress(pickle.dumps([tuple(entry) for entry in entries]), 1))

    def rows(self) -> list[Row]:
        """Return the manifest."""
        return [_row(entry) for entry in self._entries()]

    def changes(self) -> list[str]:
        """Return the differences since the snapshot, sorted: "a.png changed", "b.png appeared", "c.png vanished".

        Checks the status of every file, and reads only those whose status differs.
        """
        before = {entry.path: entry for entry in self._entries()}
        now = {entry.path: entry for entry in walk(self.path)} if self.path.exists() else {}
        changes = dict.fromkeys(before.keys() - now.keys(), "vanished")
        changes |= dict.fromkeys(now.keys() - before.keys(), "appeared")
        for path in before.keys() & now.keys():
            old, new = before[path], now[path]
            if (old.kind, old.link) != (new.kind, new.link) and old.kind != UNREADABLE:
                changes[path] = "changed"
            elif old.kind == FILE and not (old.settled and old.facts == new.facts):
                (hashed,) = _hashed(self.path, [new], None, None)
                if hashed.sha256 != old.sha256:
                    changes[path] = "changed"
            elif old.kind == UNREADABLE and old.facts != new.facts:
                changes[path] = "changed"
        return [
            f"{printable_name(path)} {changes[path]}"
            for path in sorted(changes)
            if not _is_of_the_system(path)
        ]

    def _entries(self) -> list[Entry]:
        return [
            Entry(path, kind, link, FileFacts(*facts), sha256, settled)
            for path, kind, link, facts, sha256, settled in pickle.loads(zlib.decompress(self._packed))  # noqa: S301 - our own bytes
        ]


def _is_of_the_system(path: str) -> bool:
    """Return True for files that operating systems write while a folder is viewed; no stage reads them."""
    name = path.rpartition("/")[2]
    return name in (".DS_Store", "Thumbs.db", "desktop.ini") or name.startswith(("._", ".nfs"))


def _row(entry: Entry) -> Row:
    row: Row = {"path": entry.path, "sha256": entry.sha256, "size": 0}
    if entry.kind == FILE:
        row["size"] = entry.facts.size
    else:
        row["kind"] = entry.kind
    if entry.kind == UNREADABLE:
        # Two files that cannot be read are the same only where nothing at all tells them apart.
        row["facts"] = list(entry.facts)
    if entry.link is not None:
        row["link"] = entry.link
    return row


def walk(root: Path) -> list[Entry]:
    """Return all entries below a folder, sorted by path, or the file itself.

    Linked folders are entered, except cycles.
    """
    return sorted(entries(root), key=lambda entry: entry.path.split("/"))


def entries(root: Path) -> Iterator[Entry]:
    """Yield the entries of ``walk`` one by one, unsorted, without holding all of them in memory."""
    status = root.stat()
    if not stat.S_ISDIR(status.st_mode):
        kind = FILE if stat.S_ISREG(status.st_mode) else "special"
        yield Entry(root.name, kind, None, FileFacts.of(status))
        return
    yield from _below(os.fspath(root), "", {(status.st_dev, status.st_ino)})


def _below(folder: str, prefix: str, above: set[tuple[int, int]]) -> Iterator[Entry]:
    """Yield the entries below a folder; ``above`` has (device, inode) of its parents, to skip links to them."""
    try:
        with os.scandir(folder) as listing:
            items = list(listing)
    except OSError:
        yield Entry(prefix.rstrip("/"), "unreadable folder", None, FileFacts(0, 0, 0, 0, 0))
        return
    if not items and prefix:
        yield Entry(prefix.rstrip("/"), "empty folder", None, FileFacts(0, 0, 0, 0, 0))
    for item in items:
        path = prefix + item.name
        try:
            link = os.fspath(Path(item.path).readlink()) if item.is_symlink() else None
        except OSError:
            continue  # It vanished since the folder was read.
        try:
            status = item.stat()
        except OSError:
            if link is not None:
                yield Entry(path, "broken link", link, FileFacts(0, 0, 0, 0, 0))
            continue
        facts = FileFacts.of(status)
        if stat.S_ISREG(status.st_mode):
            yield Entry(path, FILE, link, facts)
        elif not stat.S_ISDIR(status.st_mode):
            yield Entry(path, "special", link, FileFacts(0, 0, 0, 0, 0))
        else:
            if link is not None:
                yield Entry(path, "linked folder", link, FileFacts(0, 0, 0, 0, 0))
            place = (facts.device, facts.inode)
            if place not in above:
                yield from _below(item.path, f"{path}/", above | {place})


def _hashed(
    root: Path, entries: list[Entry], cache: HashCache | None, on_progress: OnProgress | None
) -> list[Entry]:
    """Return the entries with the digests of files; files in the cache are not read."""
    base = os.fspath((root if root.is_dir() else root.parent).resolve())
    done = list(entries)
    todo: list[int] = []
    numbered = [number for number, entry in enumerate(entries) if entry.kind == FILE]
    numbered.sort(key=lambda number: _place(base, entries[number])[0])
    for folder, numbers in groupby(numbered, key=lambda number: _place(base, entries[number])[0]):
        known = cache.get(folder) if cache is not None else {}
        for number in numbers:
            kept = known.get(_place(base, entries[number])[1])
            if kept is not None and kept[0] == entries[number].facts:
                done[number] = entries[number]._replace(sha256=kept[1], settled=True)
            else:
                todo.append(number)
    total, read = sum(entries[number].facts.size for number in todo), 0
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(todo), QUEUED):
            some = todo[start : start + QUEUED]
            settled: dict[str, dict[str, tuple[FileFacts, str]]] = {}
            for number, entry in zip(some, pool.map(lambda n: _read(base, entries[n]), some), strict=True):
                done[number] = entry
                read += entry.facts.size
                if on_progress is not None:
                    on_progress(read, total)
                if entry.settled:
                    folder, name = _place(base, entry)
                    settled.setdefault(folder, {})[name] = (entry.facts, entry.sha256)
            if cache is not None:
                for folder, files in settled.items():
                    cache.put(folder, files)
    return done


def _place(base: str, entry: Entry) -> tuple[str, str]:
    """Return (absolute folder, name) of an entry."""
    folder, _, name = entry.path.rpartition("/")
    return (f"{base}/{folder}" if folder else base), name


def _read(base: str, entry: Entry) -> Entry:
    """Return the entry of a file with its digest; marked unreadable if it cannot be opened or read, or is gone."""
    now = time.time_ns()
    try:
        # Not waiting: something else may have taken the name since, such as a pipe.
        descriptor = os.open(f"{base}/{entry.path}", os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                return entry._replace(kind=UNREADABLE)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            after = os.fstat(file.fileno())
    except OSError:
        return entry._replace(kind=UNREADABLE)
    facts = FileFacts.of(after)
    latest = max(facts.modified_ns, facts.changed_ns)
    settled = FileFacts.of(before) == facts and latest + SETTLED_NS < now
    return entry._replace(facts=facts, sha256=sha256, settled=settled)
