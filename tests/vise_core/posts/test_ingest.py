"""Posts of every bad kind are rejected or repaired, counted by reason; good ones all come through."""

import io
import json
import multiprocessing
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.pictures import encoded
from tests.vise_core.engine import stage_work
from vise_core.errors import BadInput, Stopped
from vise_core.files.hashing import tree_sha256
from vise_core.formats.posts import ShardIndex
from vise_core.posts import check
from vise_core.reporter import LocalReporter
from vise_core.specs.ingest import IngestSpec
from vise_core.stage import run_stage


def picture(
    mode: str = "RGB", size: tuple[int, int] = (40, 30), kind: str = "JPEG", **options: object
) -> bytes:
    values = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return encoded(Image.fromarray(values).convert(mode), kind, **options)


def ingest(folder: Path, out: Path, **spec: object) -> tuple[ShardIndex, dict]:
    """(the shards, report.json)."""
    reporter = LocalReporter(out / "artifacts")
    run_stage("ingest", IngestSpec.model_validate(spec), {"source": folder}, out / "work", reporter)
    report = json.loads(reporter.artifacts["report"].read_text())
    return ShardIndex.open(reporter.artifacts["posts"]), report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source with good images; tests write its posts.jsonl."""
    images = tmp_path / "source" / "images"
    images.mkdir(parents=True)
    for n in range(6):
        (images / f"{n}.jpg").write_bytes(picture())
    (tmp_path / "source" / "secret.jpg").write_bytes(picture())
    return tmp_path / "source"


def write_rows(folder: Path, *rows: object) -> None:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (folder / "posts.jsonl").write_bytes(b"\n".join(lines) + b"\n")


GOOD = {"id": "good", "image": "0.jpg", "comments": ["hi"], "reactions": {"love": 2}}
BAD = {
    "not_json": b"{oops",
    "not_an_object": b"[1, 2]",
    "bad_id": {**GOOD, "id": " "},
    "missing_image": {**GOOD, "id": "a", "image": None},
    "image_missing": {**GOOD, "id": "b", "image": "gone.jpg"},
    "outside_folder": {**GOOD, "id": "c", "image": "../secret.jpg"},
    "bad_comments": {**GOOD, "id": "d", "comments": [1]},
    "negative_count": {**GOOD, "id": "e", "reactions": {"wow": -1}},
    "bad_reactions": {**GOOD, "id": "f", "reactions": {"wow": "many"}},
    "duplicate_id": GOOD,
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_post_is_refused_by_name_and_the_good_one_kept(folder, tmp_path, reason) -> None:
    write_rows(folder, GOOD, BAD[reason])
    index, report = ingest(folder, tmp_path / "out")
    assert [index.read_post(i).id for i in range(len(index))] == ["good"]
    expected = "missing_image" if reason == "not_an_object" else reason
    assert report["rejected"] == {expected: 1}
    assert report["examples"][expected][0]["where"] == "posts.jsonl:2"


IMAGES = {
    "truncated": (picture(size=(80, 80))[:-600], "image_truncated"),
    "text": (b"hello", "image_not_an_image"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "image_svg"),
    "empty": (b"", "image_empty"),
    "huge": (picture(size=(200, 200)), "image_too_large"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_a_bad_image_is_refused_with_its_reason(folder, tmp_path, kind) -> None:
    data, reason = IMAGES[kind]
    (folder / "images" / "bad.jpg").write_bytes(data)
    write_rows(folder, GOOD, {**GOOD, "id": "bad", "image": "bad.jpg"})
    index, report = ingest(folder, tmp_path / "out", max_image_pixels=10_000)
    assert len(index) == 1
    assert report["rejected"] == {reason: 1}


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("I;16", "PNG"),
        ("P", "GIF"),
        ("RGB", "WEBP"),
    ],
)
def test_images_of_every_mode_become_rgb(folder, tmp_path, mode, kind) -> None:
    if mode == "I;16":
        data = encoded(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50), "PNG")
    else:
        data = picture(mode, kind=kind)
    (folder / "images" / "odd.img").write_bytes(data)
    write_rows(folder, {**GOOD, "image": "odd.img"})
    index, report = ingest(folder, tmp_path / "out")
    image = Image.open(io.BytesIO(index.read_image(0)))
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert report["rejected"] == {}


def test_exif_rotation_is_applied_and_large_images_scaled(folder, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (folder / "images" / "turned.jpg").write_bytes(picture(size=(400, 100), exif=exif))
    write_rows(folder, {**GOOD, "image": "turned.jpg"})
    index, report = ingest(folder, tmp_path / "out", max_image_side=50)
    assert Image.open(io.BytesIO(index.read_image(0))).size == (50, 200)
    assert report["repaired"] == {"image_rotated": 1, "image_scaled": 1}


def test_comments_are_repaired_and_replies_count(folder, tmp_path) -> None:
    comments = ["a\u0000b", {"text": "c", "replies": ["d", {"text": "e"}]}, "x" * 3000, " ", "😍\ud800"]
    write_rows(folder, {**GOOD, "comments": comments}, {**GOOD, "id": "loud", "comments": ["hey"] * 10_050})
    index, report = ingest(folder, tmp_path / "out")
    assert index.read_post(0).comments == ("ab", "c", "d", "e", "x" * 2000, "😍")
    assert len(index.read_post(1).comments) == 10_000
    expected = {"broken_unicode": 1, "long_comment": 1, "empty_comment": 1, "too_many_comments": 1}
    assert report["repaired"].items() >= expected.items()


def test_parquet_and_webdataset_give_the_same_posts_as_jsonl(folder, tmp_path) -> None:
    rows = [{**GOOD, "id": str(n), "image": f"{n}.jpg"} for n in range(6)]
    write_rows(folder, *rows)
    first, _ = ingest(folder, tmp_path / "jsonl", posts_per_shard=4)

    table = [{**row, "image": (folder / "images" / row["image"]).read_bytes()} for row in rows]
    (tmp_path / "parquet").mkdir()
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "parquet" / "posts.parquet")
    second, _ = ingest(tmp_path / "parquet", tmp_path / "two", posts_per_shard=4, source={"kind": "parquet"})

    third, _ = ingest(first.folder, tmp_path / "three", posts_per_shard=4, source={"kind": "webdataset"})
    assert tree_sha256(first.folder) == tree_sha256(second.folder) == tree_sha256(third.folder)
    assert [s.posts for s in first.shards] == [4, 2]


def test_a_killed_ingest_goes_on_to_the_same_bytes(tmp_path) -> None:
    spec = {"source": {"kind": "sample", "posts": 60, "evaluation_images": 60}, "posts_per_shard": 10}
    whole = LocalReporter(tmp_path / "whole" / "artifacts")
    run_stage("ingest", IngestSpec.model_validate(spec), {}, tmp_path / "whole" / "work", whole)

    work = tmp_path / "killed" / "work"
    child = multiprocessing.get_context("spawn").Process(target=_die_in_the_third_shard, args=(spec, work))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    resumed = LocalReporter(tmp_path / "killed" / "artifacts")
    run_stage("ingest", IngestSpec.model_validate(spec), {}, work, resumed)

    assert any("after 2 complete shards" in line for line in resumed.messages)
    for name in ("posts", "evaluation_set", "report"):
        assert tree_sha256(resumed.artifacts[name]) == tree_sha256(whole.artifacts[name])


def _die_in_the_third_shard(spec: dict, work: Path) -> None:
    from vise_core.posts import sample
    from vise_core.posts.sample import generator

    honest = generator.generate_post

    def deadly(seed: int, index: int, size: int):
        if index == 25:
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(seed, index, size)

    generator.generate_post = deadly
    assert sample.raw_posts is generator.raw_posts
    run_stage("ingest", IngestSpec.model_validate(spec), {}, work, LocalReporter(work / "artifacts"))


def test_stopping_between_posts_loses_no_whole_shard(tmp_path) -> None:
    spec = IngestSpec.model_validate(
        {"source": {"kind": "sample", "posts": 300, "evaluation_images": 60}, "posts_per_shard": 150}
    )
    with pytest.raises(Stopped, match="1 complete shards"):
        run_stage("ingest", spec, {}, tmp_path, LocalReporter(tmp_path / "a", stop=True))
    assert (tmp_path / "state" / "shard-000000.tar").exists()


def test_nothing_usable_is_an_error_that_says_why(folder, tmp_path) -> None:
    write_rows(folder, b"{oops")
    with pytest.raises(BadInput, match="not_json"):
        ingest(folder, tmp_path / "out")


TWO = {"compute": {"engine": "local", "processes": 2}}


@pytest.mark.slow
def test_several_processes_make_the_same_shards_and_report(folder, tmp_path, monkeypatch) -> None:
    """Also where a process is killed: the images that it had are checked by another."""
    rows = [{**GOOD, "id": str(n), "image": f"{n % 6}.jpg"} for n in range(90)]
    rows[11] = {**GOOD, "id": "11", "image": "gone.jpg"}
    rows[40] = {**rows[40], "id": "3"}  # a duplicate of one in another batch
    (folder / "images" / "bad.jpg").write_bytes(b"hello")
    rows[70] = {**GOOD, "id": "70", "image": "bad.jpg"}
    write_rows(folder, *rows, b"{oops")
    one, report = ingest(folder, tmp_path / "one", posts_per_shard=20)
    monkeypatch.setattr(check, "check_posts", partial(stage_work.check_or_die, tmp_path))
    two, again = ingest(folder, tmp_path / "two", posts_per_shard=20, **TWO)
    assert (tmp_path / "killed").exists()
    assert tree_sha256(two.folder) == tree_sha256(one.folder)
    assert again == report
    assert report["rejected"] == {
        "image_missing": 1,
        "duplicate_id": 1,
        "image_not_an_image": 1,
        "not_json": 1,
    }


class Saves(LocalReporter):
    """Notes which shards are saved, each time that the state is."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.saved: list[int] = []

    def checkpoint(self, path: Path) -> None:
        self.saved.append(len(json.loads((path / "tally.json").read_bytes())["shards"]))


def test_each_finished_shard_is_saved_at_once(folder, tmp_path) -> None:
    write_rows(folder, *[{**GOOD, "id": str(n)} for n in range(45)])
    reporter = Saves(tmp_path / "artifacts")
    spec = IngestSpec(posts_per_shard=10)
    run_stage("ingest", spec, {"source": folder}, tmp_path / "work", reporter)
    assert reporter.saved == [1, 2, 3, 4]
