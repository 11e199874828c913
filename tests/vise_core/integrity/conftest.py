from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from tests.pictures import encoded
from vise_core.formats.labels import SCHEMA, LabelFacts, label_file, write_label_facts, write_label_table
from vise_core.formats.post import Post, PostRecord, post_key
from vise_core.formats.posts import ShardWriter, shard_name, write_index
from vise_core.posts.images.decode import encode_jpeg
from vise_core.posts.sample import generate_post
from vise_core.specs.tasks.kinds import CsvTask
from vise_core.tasks import LabelledImages, load_task


def saved(image: Image.Image, quality: int = 90) -> bytes:
    return encoded(image, "JPEG", quality=quality)


def _cut(left: float, top: float, right: float, bottom: float) -> Callable[[Image.Image, Random], bytes]:
    """A JPEG of the image without these shares of its sides."""

    def copy(image: Image.Image, rng: Random) -> bytes:
        width, height = image.size
        box = (
            round(left * width),
            round(top * height),
            width - round(right * width),
            height - round(bottom * height),
        )
        return saved(image.crop(box))

    return copy


def _scaled(x: float, y: float) -> Callable[[Image.Image, Random], bytes]:
    def copy(image: Image.Image, rng: Random) -> bytes:
        size = (round(image.width * x), round(image.height * y))
        return saved(image.resize(size, rng.choice([Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])))

    return copy


def _cut_anywhere(image: Image.Image, rng: Random) -> bytes:
    return _cut(*(rng.uniform(0, 0.05) for _ in range(4)))(image, rng)


COPIES: dict[str, Callable[[Image.Image, Random], bytes]] = {
    "half the size": _scaled(0.5, 0.5),
    "twice the size": _scaled(2, 2),
    "squeezed": _scaled(1, 0.8),
    "JPEG quality 50": lambda image, rng: saved(image, 50),
    "JPEG quality 30": lambda image, rng: saved(image, 30),
    "5 % cut off every side": _cut(0.05, 0.05, 0.05, 0.05),
    "5 % cut off the left": _cut(0.05, 0, 0, 0),
    "5 % cut off the bottom": _cut(0, 0, 0, 0.05),
    "95 % from a corner": _cut(0, 0.05, 0.05, 0),
    "cut by up to 5 % anywhere": _cut_anywhere,
    "flipped": lambda image, rng: saved(ImageOps.mirror(image)),
    "flipped, cut and smaller": lambda image, rng: _scaled(0.75, 0.75)(
        ImageOps.mirror(image).crop((1, 1, image.width - 2, image.height - 2)), rng
    ),
}


@pytest.fixture(scope="session")
def copies() -> dict[str, Callable[[Image.Image, Random], bytes]]:
    """Ways to copy an image, by name: (image, random numbers) → the bytes of the copy."""
    return COPIES


@pytest.fixture(scope="session")
def sample_images() -> Callable[[int, int], list[Image.Image]]:
    """Images of the sample generator: many are alike, no two are copies."""

    def draw(count: int, seed: int = 0) -> list[Image.Image]:
        return [generate_post(seed, i, 64)[1] for i in range(count)]

    return draw


@pytest.fixture(scope="session")
def write_images() -> Callable[[Path, list[bytes]], list[Path]]:
    """Write files 0000.jpg, 0001.jpg, … into a folder."""

    def write(folder: Path, files: list[bytes]) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number:04d}.jpg" for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        return paths

    return write


@pytest.fixture(scope="session")
def sample_jpegs(sample_images) -> list[bytes]:
    """1,500 sample images as files."""
    return [encode_jpeg(image) for image in sample_images(1500)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fingerprints of a test are kept nowhere else."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VISE_CACHE", str(folder))
    return folder / "fingerprints"


@pytest.fixture
def csv_task(tmp_path: Path) -> Callable[[list[tuple[bytes, str, str]]], LabelledImages]:
    """A task from (file, label, split) rows; where no row names a split the task has none of its own."""

    def make(rows: list[tuple[bytes, str, str]]) -> LabelledImages:
        root = tmp_path / "task"
        root.mkdir()
        split_in_file = any(split for _, _, split in rows)
        lines = ["path,label,split" if split_in_file else "path,label"]
        for number, (data, label, split) in enumerate(rows):
            (root / f"{number:04d}.jpg").write_bytes(data)
            lines.append(f"{number:04d}.jpg,{label}" + (f",{split}" if split_in_file else ""))
        (root / "labels.csv").write_text("\n".join(lines) + "\n")
        return load_task(CsvTask(), root)

    return make


@pytest.fixture
def write_posts(tmp_path: Path) -> Callable[[list[tuple[str, bytes]], int], Path]:
    """A posts artifact of (id, image file) rows, so many a shard."""

    def write(posts: list[tuple[str, bytes]], per_shard: int = 10) -> Path:
        folder = tmp_path / "posts"
        folder.mkdir()
        entries = []
        for number, start in enumerate(range(0, len(posts), per_shard)):
            writer = ShardWriter(folder / shard_name(number))
            for post_id, image in posts[start : start + per_shard]:
                writer.write(PostRecord(Post(post_id, ("what a day",), (1, 0, 0, 0, 2)), image))
            entries.append(writer.close())
        write_index(folder, entries, synthetic=True)
        return folder

    return write


@pytest.fixture
def write_labels(tmp_path: Path) -> Callable[..., Path]:
    """A labels artifact: one list of (post id, comment labels, reaction label) rows a shard."""

    def write(
        shards: list[list[tuple[str, list[int], int | None]]], comments: int = 4, reactions: int = 3
    ) -> Path:
        folder = tmp_path / "labels"
        folder.mkdir()
        for number, rows in enumerate(shards):
            table = pa.Table.from_pylist(
                [
                    {"post_id": i, "key": post_key(i), "comment_labels": c, "reaction_label": r}
                    for i, c, r in rows
                ],
                schema=SCHEMA,
            )
            write_label_table(label_file(folder, number), table)
        facts = LabelFacts(
            comment_clusters=comments,
            reaction_clusters=reactions,
            posts=sum(map(len, shards)),
            synthetic=True,
            shuffled=False,
        )
        write_label_facts(folder, facts)
        return folder

    return write
