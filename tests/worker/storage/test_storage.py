"""Objects in a folder and in a bucket: how many requests they take, and what is said where there is no such bucket."""

import errno
import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path
from threading import Barrier

import pytest

from backend.store.registry import artifacts
from backend.store.registry.storage import PARALLEL, MissingBucket, Storage, StorageError
from backend.store.registry.storage_away import StorageAway
from backend.store.serving import uploads


def in_bucket(url: str = "s3://bucket/vise") -> Storage:
    storage = Storage(url)
    # fsspec gives one process one instance: that of the server of the test before.
    storage.fs = type(storage.fs)(skip_instance_cache=True, use_listings_cache=False)
    return storage


def folder_of(tmp_path: Path, files: int) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(files):
        (folder / f"{number}.txt").write_text(f"content {number}")
    return folder


def test_many_small_objects_take_one_request_each_and_none_where_they_are_stored_already(
    bucket, tmp_path: Path
) -> None:
    folder, storage = folder_of(tmp_path, 300), in_bucket()
    manifest, _ = artifacts.upload(storage, folder)
    counted = Counter(bucket.requests)
    assert counted["PUT"] == 300
    assert sum(counted.values()) - 300 <= 3, counted
    assert {key.rpartition("/")[2] for key in bucket.objects} == {row["sha256"] for row in manifest}

    (folder / "300.txt").write_text("another")
    bucket.requests.clear()
    artifacts.upload(storage, folder)
    counted = Counter(bucket.requests)
    assert counted["PUT"] == 1
    assert sum(counted.values()) <= 3, counted

    bucket.requests.clear()
    artifacts.materialise(storage, manifest, True, tmp_path / "out")
    assert Counter(bucket.requests) == {"GET": 300}
    assert (tmp_path / "out" / "7.txt").read_text() == "content 7"


def test_objects_are_sent_fetched_and_deleted_many_at_a_time(bucket, tmp_path: Path) -> None:
    storage = Storage("s3://bucket/many")
    options = storage.fs.config_kwargs
    storage.fs = type(storage.fs)(skip_instance_cache=True, use_listings_cache=False, config_kwargs=options)
    folder = folder_of(tmp_path, PARALLEL)
    bucket.together = Barrier(PARALLEL)
    manifest, _ = artifacts.upload(storage, folder)
    assert len(bucket.objects) == PARALLEL
    storage.get_all((row["sha256"], tmp_path / "out" / row["path"]) for row in manifest)
    assert len(list((tmp_path / "out").iterdir())) == PARALLEL
    storage.delete_all(row["sha256"] for row in manifest)
    assert bucket.objects == {}


def test_a_few_small_objects_are_written_without_a_question_and_large_ones_are_not_sent_again(
    bucket, tmp_path: Path, monkeypatch
) -> None:
    storage = in_bucket()
    monkeypatch.setattr("backend.store.registry.storage.WHOLE_BYTES", 9)
    folder = folder_of(tmp_path, 1)
    (folder / "large.txt").write_text("longer than nine bytes")
    artifacts.upload(storage, folder)
    bucket.requests.clear()
    artifacts.upload(storage, folder)
    assert Counter(bucket.requests) == {"PUT": 1, "HEAD": 1}


def test_a_missing_bucket_is_an_error_that_names_the_setting_and_it_is_not_created(
    bucket, tmp_path: Path
) -> None:
    storage, folder = in_bucket("s3://bukcet/vise"), folder_of(tmp_path, 1)
    digest = hashlib.sha256(b"content 0").hexdigest()
    for act in (
        lambda: artifacts.upload(storage, folder),
        lambda: storage.get(digest, tmp_path / "out"),
        lambda: b"".join(storage.stream(digest)),
        lambda: list(storage.objects()),
        lambda: uploads.put(storage, b"x"),
        storage.probe,
    ):
        with pytest.raises(MissingBucket, match=r"no bucket 'bukcet': VISE_STORAGE_URL"):
            act()
    assert bucket.objects == {}
    with pytest.raises(StorageError, match="no object"):
        in_bucket().get(digest, tmp_path / "out")


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_file_that_changes_while_it_is_stored_is_an_error_and_leaves_nothing(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "bucket":
        request.getfixturevalue("bucket")
    storage = in_bucket() if kind == "bucket" else Storage(f"file://{tmp_path / 'storage'}")
    file = tmp_path / "file"
    file.write_text("after")
    with pytest.raises(StorageError, match="changed while it was stored"):
        storage.put(file, hashlib.sha256(b"before").hexdigest())
    assert list(storage.objects()) == []
    assert not list(tmp_path.glob("storage/incoming/*"))


def test_a_copy_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    storage = Storage(f"file://{tmp_path / 'storage'}")
    monkeypatch.setattr("backend.store.registry.storage.os.fsync", full)
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StorageAway, match="the disk is full"):
        storage.put(file, hashlib.sha256(b"x").hexdigest())
    assert not list(tmp_path.glob("storage/incoming/*"))


def test_a_folder_is_cleared_while_another_process_removes_parts_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, 3)
    storage = Storage(f"file://{tmp_path / 'storage'}")
    artifacts.upload(storage, folder)
    raced: list[str] = []

    def remove_before(name: str, **options: int) -> None:
        rmdir(name, **options)
        if not raced:
            raced.append(name)
            rmdir(name, **options)  # as if the other process had been first

    rmdir = os.rmdir
    monkeypatch.setattr(os, "rmdir", remove_before)
    storage.clear()
    assert raced
    assert not (tmp_path / "storage").exists()
    storage.clear()


@pytest.mark.parametrize("number", [errno.ENOTEMPTY, errno.ENOENT])
def test_a_folder_in_which_another_process_works_is_cleared_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    storage = Storage(f"file://{tmp_path / 'states'}")
    (tmp_path / "states" / "a").mkdir(parents=True)
    rmtree, calls = shutil.rmtree, []

    def disturbed(path: str) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise OSError(number, os.strerror(number))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", disturbed)
    storage.clear()
    assert not (tmp_path / "states").exists()
    assert len(calls) == 2


def test_a_folder_that_cannot_be_cleared_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()

    def refuse(_: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(PermissionError):
        Storage(f"file://{tmp_path}").clear()
