"""Fingerprints are made once for each content, and never served for another."""

import numpy as np
import pytest

from vise_core.files.hashing import file_digests
from vise_core.integrity.cache import default_cache, files_fingerprints, shard_fingerprints
from vise_core.integrity.fingerprints import Fingerprints, fingerprint_files


class Counter:
    """Counts the images that were decoded."""

    def __init__(self) -> None:
        self.images = 0

    def __call__(self, images: int) -> None:
        self.images += images


def same(one: Fingerprints, two: Fingerprints) -> bool:
    names = ("digests", "thumbs", "bits", "readable", "comparable", "tiny")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in names)


@pytest.mark.slow
def test_files_are_decoded_once(sample_jpegs, write_images, own_cache, tmp_path) -> None:
    paths, counter = write_images(tmp_path, sample_jpegs[:30]), Counter()
    first = files_fingerprints(paths, own_cache, on_progress=counter)
    again = files_fingerprints(paths, own_cache, on_progress=counter)
    assert counter.images == 30
    assert same(first, again)
    assert same(first, fingerprint_files(paths))
    assert file_digests(paths) == first.keys()


@pytest.mark.slow
def test_a_changed_file_is_seen(sample_jpegs, write_images, own_cache, tmp_path) -> None:
    paths = write_images(tmp_path, sample_jpegs[:3])
    files_fingerprints(paths, own_cache)
    paths[1].write_bytes(sample_jpegs[7])
    assert same(files_fingerprints(paths, own_cache), fingerprint_files(paths))


def test_the_same_files_elsewhere_need_no_new_look(sample_jpegs, write_images, own_cache, tmp_path) -> None:
    counter = Counter()
    files_fingerprints(write_images(tmp_path / "a", sample_jpegs[:5]), own_cache)
    files_fingerprints(write_images(tmp_path / "b", sample_jpegs[:5]), own_cache, on_progress=counter)
    assert counter.images == 0


def test_a_damaged_cache_is_made_anew(sample_jpegs, write_images, own_cache, tmp_path) -> None:
    paths = write_images(tmp_path, sample_jpegs[:4])
    first = files_fingerprints(paths, own_cache)
    (kept,) = own_cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    assert same(files_fingerprints(paths, own_cache), first)
    assert same(files_fingerprints(paths, own_cache), first)


def test_shards_are_decoded_once_each(sample_jpegs, write_posts, own_cache) -> None:
    posts = write_posts([(f"p{n}", data) for n, data in enumerate(sample_jpegs[:25])], 10)
    counter = Counter()
    first = [shard_fingerprints(posts, n, own_cache, on_progress=counter) for n in range(3)]
    again = [shard_fingerprints(posts, n, own_cache, on_progress=counter) for n in range(3)]
    assert counter.images == 25
    assert [len(f) for f in first] == [10, 10, 5]
    assert all(same(*pair) for pair in zip(first, again, strict=True))
    assert same(shard_fingerprints(posts, 2, None), first[2])


def test_a_shard_whose_content_changed_is_decoded_again_though_its_index_did_not(
    sample_jpegs, write_posts, own_cache
) -> None:
    posts = write_posts([(f"p{n}", data) for n, data in enumerate(sample_jpegs[:4])], 10)
    first = shard_fingerprints(posts, 0, own_cache)
    shard = posts / "shard-000000.tar"
    data = shard.read_bytes()
    place = data.index(sample_jpegs[2])
    shard.write_bytes(data[: place + 300] + bytes([data[place + 300] ^ 1]) + data[place + 301 :])
    again = shard_fingerprints(posts, 0, own_cache)
    assert not same(first, again)
    assert same(again, shard_fingerprints(posts, 0, None))


def test_a_cache_that_cannot_be_written_to_is_no_reason_to_fail(sample_jpegs, write_images, tmp_path) -> None:
    paths, file = write_images(tmp_path, sample_jpegs[:3]), tmp_path / "a file"
    file.write_bytes(b"")
    assert same(files_fingerprints(paths, file / "fingerprints"), fingerprint_files(paths))


def test_an_account_without_home_has_no_cache(no_home) -> None:
    assert default_cache() is None
