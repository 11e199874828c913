"""Content-addressed storage over fsspec: a local folder or a bucket."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import fsspec
from fsspec.core import url_to_fs

from vise_core.errors import ViseError
from vise_core.files.hashing import file_sha256

CHUNK = 2**20


class StorageError(ViseError):
    """An object is missing, or its content does not have its digest."""


class Storage:
    """Objects by SHA-256: ``objects/ab/<sha256>``. Objects are complete and never change."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.fs: fsspec.AbstractFileSystem
        self.fs, self.root = url_to_fs(url)
        self.local = url.startswith("file://")

    def put(self, source: Path, sha256: str) -> None:
        """Store a file with this digest, unless it is stored already. Raises StorageError if the file changes."""
        target = self._path(sha256)
        if self.fs.exists(target):
            return
        self.fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        part = f"{self.root}/incoming/{uuid.uuid4().hex}"
        self.fs.makedirs(f"{self.root}/incoming", exist_ok=True)
        if self.local:
            copied = hashlib.sha256()
            with source.open("rb") as read, Path(part).open("wb") as write:
                while chunk := read.read(CHUNK):
                    copied.update(chunk)
                    write.write(chunk)
                write.flush()
                os.fsync(write.fileno())
            if copied.hexdigest() != sha256:
                Path(part).unlink()
                raise StorageError(
                    f"{source} changed while it was stored: finish writing a file before it is stored"
                )
            Path(part).chmod(0o444)
            Path(part).replace(target)
        else:
            self.fs.put_file(str(source), part)
            self.fs.mv(part, target)

    def get(self, sha256: str, target: Path, *, link: bool = True) -> None:
        """Place an object at ``target``: a read-only hard link if possible, else a checked copy.

        Without ``link`` it is always a writable copy. Raises StorageError if the object is missing or damaged.
        """
        source = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not self.fs.exists(source):
            raise StorageError(f"the storage has no object {sha256}: restore it from a back-up")
        if self.local and link:
            try:
                os.link(source, target)
                return
            except OSError:
                pass  # another file system, or one without hard links
        self.fs.get_file(source, str(target))
        if file_sha256(target) != sha256:
            target.unlink()
            raise StorageError(f"the object {sha256} is damaged: its content has another digest")
        target.chmod(0o444 if link else 0o644)

    def open(self, sha256: str) -> BinaryIO:
        """Open an object for reading. Raises StorageError if it is missing."""
        path = self._path(sha256)
        if not self.fs.exists(path):
            raise StorageError(f"the storage has no object {sha256}: restore it from a back-up")
        file: BinaryIO = self.fs.open(path, "rb")
        return file

    def stream(self, sha256: str) -> Iterator[bytes]:
        """Yield an object in chunks of 1 MiB. Raises StorageError if it is missing."""
        with self.open(sha256) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def delete(self, sha256: str) -> None:
        """Delete an object, which no row may name any more."""
        if self.fs.exists(self._path(sha256)):
            self.fs.rm_file(self._path(sha256))

    def probe(self) -> None:
        """Write, read and delete a small object.

        Raises StorageError if other bytes are read than were written, and any error of the file system that refuses one
        of the three.
        """
        path, data = f"{self.root}/incoming/{uuid.uuid4().hex}", uuid.uuid4().bytes
        self.fs.makedirs(f"{self.root}/incoming", exist_ok=True)
        try:
            self.fs.pipe_file(path, data)
            if self.fs.cat_file(path) != data:
                raise StorageError("what was read differs from what was written")
        finally:
            with suppress(FileNotFoundError):
                self.fs.rm_file(path)

    def clear(self) -> None:
        """Delete everything below this storage's root."""
        if self.fs.exists(self.root):
            self.fs.rm(self.root, recursive=True)

    def _path(self, sha256: str) -> str:
        if len(sha256) != 64 or not all(c in "0123456789abcdef" for c in sha256):
            raise StorageError(f"{sha256!r} is not a SHA-256")
        return f"{self.root}/objects/{sha256[:2]}/{sha256}"
