"""Content-addressed storage over fsspec: a local folder or a bucket."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.core import url_to_fs

from vise_core.errors import ViseError
from vise_core.files.hashing import file_sha256
from vise_core.files.whole import whole_file

from .storage_away import StorageAway, responding

CHUNK = 2**20
WHOLE_BYTES = 8 * 2**20
"""A file up to this size is read into memory, checked and sent to a bucket in one request."""
PARALLEL = 32
"""Requests to a bucket at a time."""
TIMES = {"connect_timeout": 5, "read_timeout": 15, "retries": {"mode": "standard", "max_attempts": 1}}
"""Of a bucket's client, in seconds. Workers try again for as long as it takes, the API reports it."""
CALL_SECONDS = 60.0
"""Longest time of one request to a bucket: of an upload's part of 50 MiB too."""
TRIES = 2
"""How often the file system sends a request to a bucket before it reports an error."""
LISTED_FROM = 200
"""Number of objects from which one listing shows which of them a bucket has."""
CHANGED = "{} changed while it was stored: finish writing a file before it is stored"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileFacts:
    """Size of a stored file in bytes, and when it was written (Unix time)."""

    size: int
    written: float


class StorageError(ViseError):
    """An object is missing, or its content does not have its digest."""


class MissingBucket(StorageError):
    """The bucket that the setting names does not exist. It is not created: its name may be a typing error."""


def _unless_missing(error: OSError) -> None:
    """Raise an error of a listing, which os.walk would skip, unless the folder is not there."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _bound_calls(fs: Any) -> None:
    """Bound each request to a bucket: while its client waits for "100 Continue", none of the client's times counts."""
    if hasattr(fs, "unbounded_call"):
        return  # file systems are cached by their arguments
    call = fs.unbounded_call = fs._call_s3

    async def bounded(*arguments: Any, **named: Any) -> Any:
        return await asyncio.wait_for(call(*arguments, **named), CALL_SECONDS)

    fs._call_s3 = bounded


class Storage:
    """Objects by SHA-256: ``objects/ab/<sha256>``. Objects are complete and never change."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.fs: fsspec.AbstractFileSystem
        self.root: str
        self.local = url.startswith("file://")
        options: dict[str, Any] = {}
        if url.startswith("s3://"):
            # Others write there too: a cached listing would be stale. A client has 10 connections by default.
            options = {
                "use_listings_cache": False,
                "config_kwargs": {"max_pool_connections": PARALLEL} | TIMES,
            }
        self.fs, self.root = url_to_fs(url, **options)
        if url.startswith("s3://"):
            self.fs.retries = TRIES
            _bound_calls(self.fs)

    def put(self, source: Path, sha256: str) -> None:
        """Store a file with this digest, unless it is stored already. Raises StorageError if the file has changed."""
        self.put_all({sha256: source})

    def put_all(self, files: Mapping[str, Path]) -> None:
        """Store files by digest, except those that are stored already.

        To a bucket: one request an object, many at a time. Raises StorageError if a file no longer has its digest, and
        MissingBucket.
        """
        if self.local:
            for sha256, source in files.items():
                self._copy(source, sha256, Path(self._path(sha256)))
            return
        sizes = {sha256: source.stat().st_size for sha256, source in files.items()}
        with self.naming_bucket():
            missing = files.keys() - self._stored(sizes)
            with ThreadPoolExecutor(PARALLEL, "put") as threads:
                for _ in threads.map(lambda key: self._send(files[key], key, self._path(key)), missing):
                    pass

    def place(self, source: Path, path: str, sha256: str) -> None:
        """Store a file under a path below the root, unless it is there. Raises StorageError if it has changed."""
        if self.local:
            self._copy(source, sha256, Path(self.root, path))
        else:
            with self.naming_bucket():
                self._send(source, sha256, f"{self.root}/{path}")

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file by its path below the root. Raises StorageError if it is missing."""
        with self._naming(path):
            self.fs.get_file(f"{self.root}/{path}", str(target))

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file by its path below the root. Raises StorageError if it is missing."""
        digest = hashlib.sha256()
        with self._naming(path), self.fs.open(f"{self.root}/{path}", "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def _send(self, source: Path, sha256: str, target: str) -> None:
        """Send a file to a bucket, where it appears when it is complete."""
        if source.stat().st_size > WHOLE_BYTES:
            self.fs.put_file(str(source), target)
            return
        data = source.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StorageError(CHANGED.format(source))
        self.fs.pipe_file(target, data)

    def _copy(self, source: Path, sha256: str, target: Path) -> None:
        """Copy a file into a folder storage: complete and on the disk before it has its name."""
        incoming = Path(self.root, "incoming")
        with responding():
            if target.exists():
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming.mkdir(parents=True, exist_ok=True)
        copied = hashlib.sha256()
        with responding(), whole_file(target, folder=incoming, durable=True) as part:
            with source.open("rb") as read, part.open("wb") as write:
                while chunk := read.read(CHUNK):
                    copied.update(chunk)
                    write.write(chunk)
            if copied.hexdigest() != sha256:
                raise StorageError(CHANGED.format(source))
            part.chmod(0o444)

    def _stored(self, sizes: Mapping[str, int]) -> set[str]:
        """Return which of these objects a bucket is known to have: by one listing, or by a request for each.

        A few small objects are written again instead: that costs no more than the request.
        """
        if len(sizes) > LISTED_FROM:
            return {sha256 for sha256, _ in self.objects(most=1000 * len(sizes))} & sizes.keys()
        return {key for key, size in sizes.items() if size > WHOLE_BYTES and self.fs.exists(self._path(key))}

    def objects(self, most: int | None = None) -> Iterator[tuple[str, int]]:
        """Yield the digest and size in bytes of each object; at least the first ``most``."""
        for path, facts in self.files("objects", most):
            name = path.rpartition("/")[2]
            if _DIGEST.fullmatch(name):
                yield name, facts.size

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Raise StorageError in place of the error that the block raises because this object is missing."""
        try:
            with self.naming_bucket():
                yield
        except FileNotFoundError as error:
            self.require_folder()
            raise StorageError(f"the storage has no object {name}: restore it from a backup") from error

    def require_folder(self) -> None:
        """Raise StorageAway unless the folder of a folder storage is there: its disk may not be mounted."""
        if self.local and not Path(self.root).is_dir():
            raise StorageAway(f"the storage is away: there is no folder {self.root}", full=False)

    @contextmanager
    def naming_bucket(self) -> Iterator[None]:
        """Raise MissingBucket in place of the error that the block raises because there is no such bucket.

        Raises StorageAway in place of errors that pass.
        """
        with responding():
            try:
                yield
            except FileNotFoundError as error:
                if self.local or self._has_bucket():
                    raise
                raise MissingBucket(
                    f"there is no bucket {self._bucket!r}: VISE_STORAGE_URL names it; correct that setting, or create "
                    "the bucket"
                ) from error

    @property
    def _bucket(self) -> str:
        return self.root.partition("/")[0]

    def _has_bucket(self) -> bool:
        return bool(self.fs.exists(self._bucket))

    def get(self, sha256: str, target: Path, *, link: bool = True) -> None:
        """Place an object at ``target``: a read-only hard link if possible, else a checked copy.

        Without ``link`` it is always a writable copy. Raises StorageError if the object is missing or damaged.
        """
        source = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._naming(sha256):
            if self.local and link:
                try:
                    os.link(source, target)
                    return
                except FileNotFoundError:
                    raise
                except OSError:
                    pass  # another file system, or one without hard links
            self.fs.get_file(source, str(target))
        if file_sha256(target) != sha256:
            target.unlink()
            raise StorageError(f"the object {sha256} is damaged: its content has another digest")
        target.chmod(0o444 if link else 0o644)

    def get_all(self, targets: Iterable[tuple[str, Path]]) -> None:
        """Place objects, (digest, target) each, as ``get`` does; from a bucket many at a time."""
        with ThreadPoolExecutor(1 if self.local else PARALLEL, "get") as threads:
            for _ in threads.map(lambda pair: self.get(*pair), targets):
                pass

    def open(self, sha256: str) -> BinaryIO:
        """Open an object for reading. Raises StorageError if it is missing."""
        with self._naming(sha256):
            file: BinaryIO = self.fs.open(self._path(sha256), "rb")
        return file

    def stream(self, sha256: str) -> Iterator[bytes]:
        """Yield an object in chunks of 1 MiB. Raises StorageError if it is missing."""
        with self.open(sha256) as file:
            while chunk := self._read(file):
                yield chunk

    def _read(self, file: BinaryIO) -> bytes:
        with responding():
            return file.read(CHUNK)

    def delete(self, sha256: str) -> None:
        """Delete an object, which no row may name any more."""
        with suppress(FileNotFoundError):
            self.fs.rm_file(self._path(sha256))

    def delete_all(self, digests: Iterable[str]) -> None:
        """Delete objects, some of which may be gone already; from a bucket many at a time."""
        with ThreadPoolExecutor(1 if self.local else PARALLEL, "delete") as threads:
            for _ in threads.map(self.delete, digests):
                pass

    def files(self, folder: str, most: int | None = None) -> Iterator[tuple[str, FileFacts]]:
        """Yield the path below the root and the facts of each file in a folder, at any depth; at least ``most``."""
        if self.local:
            for place, _, names in os.walk(f"{self.root}/{folder}", onerror=_unless_missing):
                for path in (Path(place, name) for name in names):
                    with suppress(FileNotFoundError):  # another process removed it
                        facts = path.stat()
                        relative = path.relative_to(self.root).as_posix()
                        yield relative, FileFacts(facts.st_size, facts.st_mtime)
            return
        with self.naming_bucket():
            found = self.fs.find(f"{self.root}/{folder}", detail=True, refresh=True, max_items=most)
        for path, known in found.items():
            yield (
                path.removeprefix(f"{self.root}/"),
                FileFacts(known["size"], known["LastModified"].timestamp()),
            )

    def remove_files(self, paths: Iterable[str]) -> None:
        """Remove files by their paths below the root, with the folders that are empty then."""
        for path in paths:
            with suppress(FileNotFoundError):
                self.fs.rm_file(f"{self.root}/{path}")
            if self.local:
                with suppress(OSError):  # until a folder is not empty
                    for parent in Path(self.root, path).parents:
                        if parent == Path(self.root):
                            break
                        parent.rmdir()

    def unfinished(self, before: float) -> list[tuple[str, str]]:
        """Return (path below the root, id) of uploads in parts that a writer began before this time and never ended.

        A bucket keeps their parts, and lists them nowhere else. Only S3 knows them.
        """
        if not hasattr(self.fs, "list_multipart_uploads"):
            return []
        start = f"{self.root.partition('/')[2]}/"
        return [
            (upload["Key"].removeprefix(start), upload["UploadId"])
            for upload in self.fs.list_multipart_uploads(self._bucket)
            if upload["Key"].startswith(start) and upload["Initiated"].timestamp() < before
        ]

    def abort(self, path: str, upload_id: str) -> None:
        """Have the bucket drop the parts of such an upload."""
        key = f"{self.root}/{path}".partition("/")[2]
        with suppress(FileNotFoundError):  # its writer has ended it
            self.fs.call_s3("abort_multipart_upload", Bucket=self._bucket, Key=key, UploadId=upload_id)

    def probe(self) -> None:
        """Write, read and delete a small object.

        Raises StorageError if other bytes are read than were written, and any error of the file system that refuses one
        of the three.
        """
        path, data = f"{self.root}/incoming/{uuid.uuid4().hex}", uuid.uuid4().bytes
        if self.local:
            self.fs.makedirs(f"{self.root}/incoming", exist_ok=True)
        try:
            with self.naming_bucket():
                self.fs.pipe_file(path, data)
            if self.fs.cat_file(path) != data:
                raise StorageError("what was read differs from what was written")
        finally:
            with suppress(FileNotFoundError):
                self.fs.rm_file(path)

    def clear(self) -> None:
        """Delete everything below this storage's root, also while another process deletes or writes some of it."""
        if not self.local:
            if self.fs.exists(self.root):
                self.fs.rm(self.root, recursive=True)
            return
        while Path(self.root).exists():
            try:
                shutil.rmtree(self.root)
            except OSError as error:
                # Deleted by another process between the listing and the removal, or written.
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                    raise

    def _path(self, sha256: str) -> str:
        if not _DIGEST.fullmatch(sha256):
            raise StorageError(f"{sha256!r} is not a SHA-256")
        return f"{self.root}/objects/{sha256[:2]}/{sha256}"
