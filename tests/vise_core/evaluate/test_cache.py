"""Features that were computed once are taken for what they are, and for nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vise_core.evaluate.specs import small_spec, splits
from vise_core.errors import BadInput
from vise_core.evaluate.cache import (
    FORMAT,
    FeaturesCache,
    features_cache,
    features_key,
    get_features,
    put_features,
)
from vise_core.evaluate.linear import tower_features
from vise_core.evaluate.stage import run
from vise_core.files.hashing import file_digests
from vise_core.models.backbones import build_backbone
from vise_core.reporter import LocalReporter
from vise_core.specs.compute import NetworkCompute
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.training.state import SavedState

SPEC = small_spec(splits=splits(2), base_lrs=(4.0,), weight_decays=(0.01,), epochs=3, milestones=(2,))
CPU, FLOAT32, FLOAT16 = torch.device("cpu"), np.dtype("float32"), np.dtype("float16")
KEY, SHAPE = "ab" * 32, (50, 8)
VALUES = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def kept(folder: Path) -> FeaturesCache:
    """A cache with VALUES under KEY."""
    np.save(folder / "made.npy", VALUES)
    cache = FeaturesCache(folder / "cache")
    put_features(cache, KEY, folder / "made.npy")
    return cache


def test_kept_features_come_back_and_can_be_mapped(tmp_path: Path) -> None:
    cache = kept(tmp_path)
    assert get_features(cache, KEY, SHAPE, FLOAT32, tmp_path / "taken.npy")
    stored = np.load(tmp_path / "taken.npy", mmap_mode="c")
    np.testing.assert_array_equal(stored, VALUES)
    assert not get_features(cache, "cd" * 32, SHAPE, FLOAT32, tmp_path / "other.npy")
    assert [path.name for path in cache.folder.iterdir()] == [f"{FORMAT}-{KEY}.npy"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "longer", "nothing sealed"])
def test_a_damaged_file_is_not_taken_and_goes_away(damage: str, tmp_path: Path) -> None:
    cache = kept(tmp_path)
    (path,) = cache.folder.iterdir()
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.unlink()
    whole = (tmp_path / "made.npy").read_bytes()
    path.write_bytes(
        {
            "cut": whole[:-100],
            "flipped": bytes(content),
            "empty": b"",
            "longer": whole + b"more",
            "nothing sealed": whole[:-32],
        }[damage]
    )
    assert not get_features(cache, KEY, SHAPE, FLOAT32, tmp_path / "taken.npy")
    assert not path.exists()
    assert not (tmp_path / "taken.npy").exists()


def test_features_of_another_shape_or_type_are_not_taken(tmp_path: Path) -> None:
    assert not get_features(kept(tmp_path), KEY, (50, 9), FLOAT32, tmp_path / "taken.npy")
    (tmp_path / "made.npy").unlink()
    assert not get_features(kept(tmp_path), KEY, SHAPE, FLOAT16, tmp_path / "taken.npy")


def test_a_copy_does_where_there_can_be_no_second_name(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert get_features(kept(tmp_path), KEY, SHAPE, FLOAT32, tmp_path / "taken.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "taken.npy"), VALUES)


KILLED = """
import os, signal, sys
from pathlib import Path
from vise_core.evaluate import cache

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

Path.replace = die
cache.put_features(cache.FeaturesCache(Path(sys.argv[1])), "ab" * 32, Path(sys.argv[2]))
"""


def test_a_process_that_is_killed_leaves_nothing_that_is_taken(tmp_path: Path) -> None:
    np.save(tmp_path / "made.npy", VALUES)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "cache"), str(tmp_path / "made.npy")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not get_features(FeaturesCache(tmp_path / "cache"), KEY, SHAPE, FLOAT32, tmp_path / "taken.npy")


def bounded(folder: Path, files: int) -> FeaturesCache:
    """A cache that has room for so many of them."""
    (folder / "runs").mkdir(exist_ok=True)
    return FeaturesCache(folder / "cache", files * (128 + VALUES.nbytes + 32))


def keep_as(cache: FeaturesCache, name: str, *, held: bool = False) -> None:
    """Of a run that then ends, unless it is ``held``."""
    path = cache.folder.parent / "runs" / f"{name}.npy"
    np.save(path, VALUES)
    put_features(cache, name, path)
    time.sleep(0.01)  # A file system's clock ticks every few milliseconds.
    if not held:
        path.unlink()


def take_as(cache: FeaturesCache, name: str, *, held: bool = False) -> bool:
    path = cache.folder.parent / "runs" / f"{name}.npy"
    hit = get_features(cache, name, SHAPE, FLOAT32, path)
    if not held:
        path.unlink(missing_ok=True)
    return hit


def names(cache: FeaturesCache) -> list[str]:
    return sorted(
        path.name.removeprefix(f"{FORMAT}-").removesuffix(".npy") for path in cache.folder.iterdir()
    )


def test_the_least_recently_used_features_go_first(tmp_path: Path) -> None:
    cache = bounded(tmp_path, 3)
    for name in "abc":
        keep_as(cache, name)
    assert names(cache) == ["a", "b", "c"]
    assert take_as(cache, "a")
    keep_as(cache, "d")
    assert names(cache) == ["a", "c", "d"]
    assert not take_as(cache, "b")
    keep_as(cache, "e")
    assert names(cache) == ["a", "d", "e"]


def test_features_that_a_run_holds_stay_until_it_ends(tmp_path: Path) -> None:
    cache = bounded(tmp_path, 1)
    keep_as(cache, "a", held=True)
    keep_as(cache, "b")
    assert take_as(cache, "b", held=True)
    keep_as(cache, "c", held=True)
    assert names(cache) == ["a", "b", "c"], "more than there is room for, but all in use"
    (tmp_path / "runs/b.npy").unlink()
    keep_as(cache, "d", held=True)
    assert names(cache) == ["a", "c", "d"]
    for name in "acd":
        (tmp_path / f"runs/{name}.npy").unlink()
    keep_as(cache, "e", held=True)
    assert names(cache) == ["e"]
    np.testing.assert_array_equal(np.load(tmp_path / "runs/e.npy"), VALUES)


def test_what_is_being_written_stays_and_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    cache = bounded(tmp_path, 1)
    keep_as(cache, "a")
    for name, age in (("being written", 3600), ("left", 25 * 3600)):
        part = cache.folder / f"{FORMAT}-{name}.part"
        part.write_bytes(b"x" * VALUES.nbytes)
        os.utime(part, (time.time() - age,) * 2)
    keep_as(cache, "b", held=True)
    assert names(cache) == ["b", "being written.part"]


def test_room_for_nothing_keeps_what_the_run_itself_holds(tmp_path: Path) -> None:
    cache = bounded(tmp_path, 0)
    keep_as(cache, "a")
    assert take_as(cache, "a", held=True)
    keep_as(cache, "b", held=True)
    assert names(cache) == ["a", "b"]


def test_folder_and_room_are_those_of_the_environment(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VISE_CACHE", str(tmp_path))
    monkeypatch.delenv("VISE_FEATURES_CACHE_BYTES", raising=False)
    assert features_cache() == FeaturesCache(tmp_path / "features", 50 * 2**30)
    monkeypatch.setenv("VISE_FEATURES_CACHE_BYTES", "1000")
    assert features_cache().most_bytes == 1000
    monkeypatch.setenv("VISE_FEATURES_CACHE_BYTES", "50 GiB")
    with pytest.raises(BadInput, match="VISE_FEATURES_CACHE_BYTES: '50 GiB' is not a number of bytes"):
        features_cache()


def test_the_key_is_of_all_that_features_depend_on_and_of_nothing_else(colours: Path, tmp_path: Path) -> None:
    shutil.copytree(colours, tmp_path / "set")
    paths = tuple(sorted((tmp_path / "set").rglob("*.png")))
    backbone = build_backbone("resnet18", seed=0)

    def key(network=backbone, of=paths, size=32, dtype=FLOAT32, amp="off", channels_last=True) -> str:
        compute = NetworkCompute(amp=amp, channels_last=channels_last)
        return features_key(network, size, dtype, compute, CPU, file_digests(of))

    first = key()
    assert key(build_backbone("resnet18", seed=0)) == first
    shifted, moved = build_backbone("resnet18", seed=0), build_backbone("resnet18", seed=0)
    shifted.mean = (0.5, 0.5, 0.5)
    next(buffer for name, buffer in moved.named_buffers() if "running_mean" in name)[0] += 1
    others = [
        key(build_backbone("resnet18", seed=1)),
        key(shifted),
        key(moved),
        key(size=64),
        key(dtype=FLOAT16),
        key(amp="bf16"),
        key(channels_last=False),
        key(of=paths[::-1]),
    ]
    paths[0].write_bytes(paths[1].read_bytes())
    assert len({first, *others, key()}) == len(others) + 2


@pytest.mark.slow
def test_a_second_run_takes_the_features_and_finds_the_same(
    colours: Path, tmp_path: Path, monkeypatch
) -> None:
    runs = [LocalReporter(tmp_path / f"published-{i}") for i in range(3)]
    first = run(SPEC, {"dataset": colours}, tmp_path / "first", runs[0])
    with monkeypatch.context() as patch:
        patch.setattr(tower_features, "write_features", None)
        again = SPEC.model_copy(update={"epochs": 4, "milestones": (3,)})
        assert run(again, {"dataset": colours}, tmp_path / "again", runs[1]).features == "cached"
        assert run(SPEC, {"dataset": colours}, tmp_path / "same", runs[2]) == first
    assert any("read from the features cache" in message for message in runs[1].messages)


def test_a_damaged_cache_is_made_anew(colours: Path, tmp_path: Path, reporter, feature_cache: Path) -> None:
    first = run(SPEC, {"dataset": colours}, tmp_path / "first", reporter)
    (path,) = feature_cache.iterdir()
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2])
    assert run(SPEC, {"dataset": colours}, tmp_path / "again", reporter) == first
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_to_is_told_of(
    colours: Path, tmp_path: Path, reporter, feature_cache: Path
) -> None:
    feature_cache.write_text("a file where the folder should be")
    run(SPEC, {"dataset": colours}, tmp_path / "run", reporter)
    assert any("cannot be cached" in message for message in reporter.messages)


def test_float16_takes_half_the_disk_and_finds_nearly_the_same(
    colours: Path, tmp_path: Path, reporter, feature_cache: Path
) -> None:
    half = EvaluateSpec.model_validate(SPEC.model_dump() | {"feature_dtype": "float16"})
    full = run(SPEC, {"dataset": colours}, tmp_path / "full", reporter)
    halved = run(half, {"dataset": colours}, tmp_path / "half", reporter)
    small, large = sorted(path.stat().st_size for path in feature_cache.iterdir())
    assert small < 0.51 * large
    assert (
        np.load(SavedState(tmp_path / "half", LocalReporter(tmp_path)).file("features.npy")).dtype
        == np.float16
    )
    assert halved.val_mean == pytest.approx(full.val_mean, abs=20)
    with pytest.raises(ValueError, match="feature_dtype"):
        EvaluateSpec(protocol="fine-tuned", feature_dtype="float16")
