"""Planted copies are found, look-alikes are not taken for copies."""

import io
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from vise_core.engine import engine
from vise_core.integrity import candidates
from vise_core.integrity.fingerprints import Fingerprints, fingerprint_files, joined
from vise_core.integrity.near_duplicates import Matches, duplicates_between, duplicates_within
from vise_core.posts.images.decode import encode_jpeg
from vise_core.specs.compute import EngineCompute

PLANTED = 60


def pairs(matches: Matches) -> set[tuple[int, int]]:
    return set(zip(matches.first.tolist(), matches.second.tolist(), strict=True))


@pytest.fixture(scope="module")
def originals(sample_jpegs, write_images, tmp_path_factory) -> Fingerprints:
    return fingerprint_files(write_images(tmp_path_factory.mktemp("images"), sample_jpegs))


@pytest.mark.slow
def test_no_two_sample_images_are_copies(originals) -> None:
    matches = duplicates_within(originals)
    assert matches.verified > 100, "they are similar enough to be verified"
    assert len(matches) == 0


@pytest.mark.parametrize(
    "kind",
    [
        "half the size",
        "twice the size",
        "squeezed",
        "JPEG quality 50",
        "JPEG quality 30",
        "5 % cut off every side",
        "5 % cut off the left",
        "5 % cut off the bottom",
        "95 % from a corner",
        "cut by up to 5 % anywhere",
        "flipped",
        "flipped, cut and smaller",
    ],
)
@pytest.mark.slow
def test_copies_of_each_kind_are_found_and_nothing_else(
    kind, copies, sample_jpegs, originals, write_images, tmp_path
) -> None:
    rng = Random(kind)
    sources = rng.sample(range(len(sample_jpegs)), PLANTED)
    files = [copies[kind](Image.open(io.BytesIO(sample_jpegs[i])), rng) for i in sources]
    together = joined([originals, fingerprint_files(write_images(tmp_path, files))])
    planted = {(source, len(originals) + n) for n, source in enumerate(sources)}

    within = duplicates_within(together)

    assert len(pairs(within) & planted) >= 0.95 * PLANTED
    assert len(pairs(within) - planted) <= 0.01 * len(within)
    flips = dict(zip(zip(within.first, within.second, strict=True), within.mirrored, strict=True))
    right = sum(bool(flips[pair]) == kind.startswith("flipped") for pair in pairs(within) & planted)
    assert right >= 0.95 * PLANTED, "all but those that are nearly their own mirror image"

    copies_only = together.take(np.arange(len(originals), len(together)))
    expected = {(n, source) for n, source in enumerate(sources)}
    between = pairs(duplicates_between(copies_only, originals))
    assert between == {(second - len(originals), first) for first, second in pairs(within)}
    assert len(between & expected) >= 0.95 * PLANTED


def test_files_of_the_same_bytes_are_linked_to_the_first(sample_jpegs, write_images, tmp_path) -> None:
    a, b = sample_jpegs[:2]
    prints = fingerprint_files(write_images(tmp_path, [a, b, a, b"no image", a, b"no image"]))
    assert prints.readable.tolist() == [True, True, True, False, True, False]
    matches = duplicates_within(prints)
    assert pairs(matches) == {(0, 2), (0, 4), (3, 5)}
    assert matches.identical.all()
    assert pairs(duplicates_between(prints, prints)) == {
        *((i, j) for i in (0, 2, 4) for j in (0, 2, 4)),
        (1, 1),
        *((i, j) for i in (3, 5) for j in (3, 5)),
    }


def test_even_images_are_compared_by_content_only(write_images, tmp_path) -> None:
    def plain(colour: tuple[int, int, int], side: int) -> bytes:
        return encode_jpeg(Image.new("RGB", (side, side), colour))

    files = [plain((250, 250, 250), 64), plain((251, 250, 250), 80), plain((250, 250, 250), 64)]
    prints = fingerprint_files(write_images(tmp_path, files))
    assert not prints.comparable.any()
    assert pairs(duplicates_within(prints)) == {(0, 2)}


def test_a_symmetric_image_is_found_though_half_its_hash_says_nothing(write_images, tmp_path) -> None:
    image = Image.new("RGB", (120, 120), (240, 240, 240))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 10, 100, 90), fill=(200, 30, 30))
    draw.rectangle((50, 80, 70, 118), fill=(30, 30, 120))
    files = [encode_jpeg(image), encode_jpeg(ImageOps.mirror(image.resize((77, 77))))]
    assert pairs(duplicates_within(fingerprint_files(write_images(tmp_path, files)))) == {(0, 1)}


def test_one_template_with_another_caption_is_another_image(write_images, tmp_path) -> None:
    from skimage import data

    photo = Image.fromarray(data.astronaut()).resize((256, 256))
    files = []
    for words in ("WHEN THE TESTS\nPASS AT LAST", "NOBODY:\nME AT 3 IN THE MORNING"):
        meme = photo.copy()
        ImageDraw.Draw(meme).multiline_text(
            (10, 8), words, fill="white", font_size=30, stroke_width=3, stroke_fill="black"
        )
        files.append(encode_jpeg(meme))
    files.append(encode_jpeg(Image.open(io.BytesIO(files[0])).resize((200, 200))))
    assert pairs(duplicates_within(fingerprint_files(write_images(tmp_path, files)))) == {(0, 2)}


def test_photographs(copies, write_images, tmp_path) -> None:
    """Quarters of real photographs are different images; copies of each are found, and paired with none other."""
    from skimage import data

    photos = [Image.fromarray(a) for a in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())]
    tiles = []
    for photo in photos:
        w, h = photo.width // 2, photo.height // 2
        tiles += [photo.crop((x, y, x + w, y + h)) for x in (0, w) for y in (0, h)]
    rng = Random(1)
    files, family = [], []
    for number, tile in enumerate(tiles):
        for data_ in (encode_jpeg(tile), *(copy(tile, rng) for copy in copies.values())):
            files.append(data_)
            family.append(number)
    expected = {(i, j) for i in range(len(files)) for j in range(i + 1, len(files)) if family[i] == family[j]}
    to_original = {(i, j) for i, j in expected if i % (len(copies) + 1) == 0}
    prints = fingerprint_files(write_images(tmp_path, files))
    matched = pairs(duplicates_within(prints))
    assert matched <= expected
    usable = {(i, j) for i, j in to_original if prints.comparable[i]}
    assert len(matched & usable) >= 0.95 * len(usable) > 100


def test_a_picture_posted_very_often_costs_no_more_than_its_nearest(
    monkeypatch, sample_jpegs, write_images, tmp_path
):
    monkeypatch.setattr(candidates, "NEAREST", 5)
    image = Image.open(io.BytesIO(sample_jpegs[0]))
    files = [*sample_jpegs[:20], *(encode_jpeg(image.resize((64 + n, 64))) for n in range(40))]
    matches = duplicates_within(fingerprint_files(write_images(tmp_path, files)))
    assert matches.crowded >= 40
    assert 40 <= len(matches) <= 41 * 5
    assert set(matches.first.tolist()) | set(matches.second.tolist()) == {0, *range(20, 60)}


@pytest.mark.slow
def test_processes_and_threads_change_nothing(sample_jpegs, write_images, tmp_path) -> None:
    paths = write_images(tmp_path, sample_jpegs[:600])
    one = fingerprint_files(paths)
    with engine(EngineCompute(processes=2), tmp_path, (), lambda: None) as workers:
        two = fingerprint_files(paths, engine=workers)
    assert (one.bits == two.bits).all()
    assert (one.thumbs == two.thumbs).all()
    assert one.keys() == two.keys()
    found = [duplicates_within(joined([one, one]), threads=n) for n in (1, 3)]
    assert pairs(found[0]) == pairs(found[1]) == {(i, i + 600) for i in range(600)}


def test_nothing_is_a_copy_of_nothing(originals) -> None:
    nothing = joined([])
    assert len(duplicates_within(nothing)) == 0
    assert len(duplicates_between(nothing, originals)) == 0
    assert len(duplicates_between(originals, nothing)) == 0
