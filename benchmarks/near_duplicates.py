"""Recall and precision of the duplicate check on planted copies among similar synthetic images.

    python -m benchmarks.near_duplicates [--images 20000] [--copies 150] [--size 64] [--seed 0] [--processes 2]

Draws sample images, plants copies of some (resized, recompressed, cropped by 5 %, flipped, and all of these at once),
and searches the whole set for duplicates. Prints recall by kind, precision over all reported pairs, and seconds.
Two sample images that were drawn separately are never duplicates. Exits with 1 where recall (each of the four kinds) is below
0.95, precision below 0.99, or the search after hashing took 60 s or more.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

from PIL import Image, ImageOps

from vise_core.engine import engine
from vise_core.integrity.fingerprints import fingerprint_files
from vise_core.integrity.near_duplicates import duplicates_within
from vise_core.posts.images.decode import encode_jpeg
from vise_core.posts.sample import generate_post
from vise_core.specs.compute import EngineCompute

from .measures.rows import Row, parser_of, verdict

MIN_RECALL, MIN_PRECISION, MAX_SECONDS = 0.95, 0.99, 60.0


def saved(image: Image.Image, quality: int = 90) -> bytes:
    """Return the image as a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def resized(image: Image.Image, rng: Random) -> Image.Image:
    """Return the image at half to twice its size, sometimes 10 % taller."""
    factor = rng.choice([0.5, 0.66, 0.8, 1.25, 1.5, 2.0])
    squeeze = rng.choice([1.0, 1.0, 1.1])
    size = (round(image.width * factor), round(image.height * factor * squeeze))
    ways = (
        Image.Resampling.BILINEAR,
        Image.Resampling.BICUBIC,
        Image.Resampling.LANCZOS,
        Image.Resampling.BOX,
    )
    return image.resize(size, rng.choice(ways))


def cropped(image: Image.Image, rng: Random) -> Image.Image:
    """Return the image without 5 %: of every side, of one side, or a crop of 95 % of width and height."""
    width, height = image.size
    dx, dy = round(width * 0.05), round(height * 0.05)
    way = rng.choice(["every side", "one side", "anywhere"])
    if way == "every side":
        return image.crop((dx, dy, width - dx, height - dy))
    if way == "one side":
        sides = rng.choice([(dx, 0, 0, 0), (0, dy, 0, 0), (0, 0, dx, 0), (0, 0, 0, dy)])
        return image.crop((sides[0], sides[1], width - sides[2], height - sides[3]))
    left, top = rng.randint(0, dx), rng.randint(0, dy)
    return image.crop((left, top, left + width - dx, top + height - dy))


KINDS: dict[str, Callable[[Image.Image, Random], bytes]] = {
    "resized": lambda image, rng: saved(resized(image, rng)),
    "recompressed": lambda image, rng: saved(image, rng.choice([30, 50, 70])),
    "cropped by 5 %": lambda image, rng: saved(cropped(image, rng)),
    "flipped": lambda image, _: saved(ImageOps.mirror(image)),
    "all at once": lambda image, rng: saved(resized(cropped(ImageOps.mirror(image), rng), rng), 70),
}
REQUIRED = tuple(KINDS)[:4]
"""Kinds with a required recall; the last kind is harder and only reported."""


def draw(folder: Path, seed: int, size: int, index: int) -> Path:
    """Write a sample image and return its path."""
    path = folder / f"{index:07d}.jpg"
    path.write_bytes(encode_jpeg(generate_post(seed, index, size)[1]))
    return path


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, seed=0, processes=2)
    parser.add_argument("--images", type=int, default=20_000, help="Images in all, without the copies.")
    parser.add_argument("--copies", type=int, default=150, help="Planted copies of each kind.")
    parser.add_argument("--size", type=int, default=64, help="Side of the images, pixels.")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print and return recall, precision and seconds."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
            job = partial(draw, folder, options.seed, options.size)
            paths = list(pool.map(job, range(options.images), chunksize=100))
        rng = Random(options.seed)
        planted: dict[str, set[tuple[int, int]]] = {}
        families = list(range(options.images))
        for kind, copy in KINDS.items():
            planted[kind] = set()
            for source in rng.sample(range(options.images), min(options.copies, options.images)):
                with Image.open(paths[source]) as image:
                    data = copy(image.convert("RGB"), rng)
                planted[kind].add((source, len(paths)))
                families.append(source)
                paths.append(folder / f"{len(paths):07d}.jpg")
                paths[-1].write_bytes(data)
        clock = time.perf_counter()
        with engine(EngineCompute(processes=options.processes), folder, (), lambda: None) as workers:
            prints = fingerprint_files(paths, engine=workers)
        hashing = time.perf_counter() - clock
        clock = time.perf_counter()
        matches = duplicates_within(prints, threads=options.processes)
        seconds = time.perf_counter() - clock
    reported = set(zip(matches.first.tolist(), matches.second.tolist(), strict=True))
    right = sum(families[a] == families[b] for a, b in reported)
    precision = right / max(1, len(reported))
    recalls = {kind: len(pairs & reported) / len(pairs) for kind, pairs in planted.items()}
    print(
        f"{options.images} synthetic sample images of {options.size} px, seed {options.seed}, and their planted copies"
    )
    print("| kind of copy | planted | recall |\n|---|---|---|")
    for kind, recall in recalls.items():
        print(f"| {kind} | {len(planted[kind])} | {recall:.4f} |")
    print(f"\nprecision {precision:.4f}: {right} of {len(reported)} reported pairs are copies")
    print(
        f"pairs compared in detail: {matches.verified}; images with too many similar ones: {matches.crowded}"
    )
    print(f"hashing {hashing:.1f} s ({options.processes} processes), search after hashing {seconds:.1f} s")
    worst = min(recalls[kind] for kind in REQUIRED)
    return [
        Row(
            "recall of the worst kind",
            f"{worst:.4f}",
            needed=f"≥ {MIN_RECALL:g}",
            reached=worst >= MIN_RECALL,
        ),
        Row(
            "precision", f"{precision:.4f}", needed=f"≥ {MIN_PRECISION:g}", reached=precision >= MIN_PRECISION
        ),
        Row(
            "search after hashing",
            f"{seconds:.1f} s",
            needed=f"< {MAX_SECONDS:g} s",
            reached=seconds < MAX_SECONDS,
        ),
    ]


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
