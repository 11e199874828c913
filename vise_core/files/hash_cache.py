"""Cache file digests, so that runs do not hash a data set of 100 GB again.

The cache is an SQLite file in the cache folder. A digest is valid for a file with the same absolute path, size,
modification time, change time, inode and device; each row has a checksum, so that damaged rows are ignored. The cache
may be deleted at any time. If it cannot be written or read, files are hashed without it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .cache_folder import cache_subfolder

FILE = "hashes-1.sqlite"
MOST_BYTES = 2**30
"""A larger cache is emptied."""
WAIT_SECONDS = 5.0
_SEAL = 8


class FileFacts(NamedTuple):
    """File status that changes with the content; the change time reveals a modification time set back."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileFacts:
        """Return the facts of a file status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


class HashCache:
    """Digests by folder and name. Several processes may share the cache; errors of the cache are never raised."""

    def __init__(self) -> None:
        self._db: sqlite3.Connection | None = None
        folder = cache_subfolder()
        if folder is None:
            return
        try:
            self._db = sqlite3.connect(folder / FILE, timeout=WAIT_SECONDS, isolation_level=None)
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS files (folder BLOB, name BLOB, facts BLOB, sha256 BLOB, seal BLOB, "
                "PRIMARY KEY (folder, name)) WITHOUT ROWID"
            )
            if self._used_bytes() > MOST_BYTES:
                self._db.execute("DELETE FROM files")
        except (OSError, sqlite3.Error):
            self.close()

    def get(self, folder: str) -> dict[str, tuple[FileFacts, str]]:
        """Return name → (status, SHA-256 as hex) of the hashed files directly in a folder."""
        if self._db is None:
            return {}
        where = os.fsencode(folder)
        try:
            rows = self._db.execute(
                "SELECT name, facts, sha256, seal FROM files WHERE folder = ?", (where,)
            ).fetchall()
            return {
                os.fsdecode(name): (FileFacts(*struct.unpack(_FACTS, facts)), sha256.hex())
                for name, facts, sha256, seal in rows
                if seal == _seal(where, name, facts, sha256)
            }
        except (sqlite3.Error, struct.error, TypeError):
            self.close()
            return {}

    def put(self, folder: str, digests: Mapping[str, tuple[FileFacts, str]]) -> None:
        """Store the digests of the files directly in a folder."""
        if self._db is None or not digests:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", _rows(folder, digests)
            )
            self._db.execute("COMMIT")
        except (sqlite3.Error, struct.error):
            self.close()

    def close(self) -> None:
        """Close the cache. Later gets return nothing, later puts do nothing."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _used_bytes(self) -> int:
        assert self._db is not None
        pages, unused, size = (
            int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - unused) * size


_FACTS = "<QqqQQ"


def _rows(
    folder: str, digests: Mapping[str, tuple[FileFacts, str]]
) -> Iterable[tuple[bytes, bytes, bytes, bytes, bytes]]:
    where = os.fsencode(folder)
    for name, (facts, sha256) in digests.items():
        encoded = os.fsencode(name), struct.pack(_FACTS, *facts), bytes.fromhex(sha256)
        yield (where, *encoded, _seal(where, *encoded))


def _seal(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=_SEAL)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
