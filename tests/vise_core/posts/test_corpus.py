"""Every picture of the corpus has the same upright pixels for us, for libvips and for the one who drew it."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vise_core.errors import BadImage
from vise_core.formats.posts import ShardIndex
from vise_core.posts.images.decode import open_image
from vise_core.reporter import LocalReporter
from vise_core.specs.ingest import IngestSpec
from vise_core.stage import run_stage

from .corpus import CORPUS, REJECTED, independent

WITHOUT_METADATA = {
    *("jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"),
    *("adobe", "adobe_transform", "progressive", "progression"),
}


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(CORPUS) >= 200
    assert sum(case.vips for case in CORPUS.values()) >= 150
    assert all(case.why for case in CORPUS.values() if not case.vips)


@pytest.mark.parametrize("name", CORPUS)
def test_its_upright_pixels(name) -> None:
    case = CORPUS[name]
    image = open_image(case.data)
    assert image.mode == "RGB"
    assert image.info == {}
    pixels = np.asarray(image).astype(np.float64)
    assert pixels.shape == case.truth.shape
    assert np.abs(pixels - case.truth).max() <= case.tolerance
    if case.vips:
        other = independent(case)
        assert pixels.shape == other.shape
        # Decoders of the same bytes differ by rounding alone, and by how they widen chroma.
        assert np.abs(pixels - other).max() <= min(case.tolerance, 3)


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_not_read_has_a_reason(name) -> None:
    data, reason = REJECTED[name]
    with pytest.raises(BadImage) as raised:
        open_image(data)
    assert raised.value.reason == reason


def test_ingest_takes_the_corpus_and_counts_the_rest(tmp_path: Path) -> None:
    images = tmp_path / "source" / "images"
    images.mkdir(parents=True)
    files = {
        **{name: case.data for name, case in CORPUS.items()},
        **{name: data for name, (data, _) in REJECTED.items()},
    }
    rows = []
    for number, (name, data) in enumerate(files.items()):
        (images / str(number)).write_bytes(data)
        rows.append(json.dumps({"id": name, "image": str(number), "reactions": {"love": 1}}))
    (tmp_path / "source" / "posts.jsonl").write_text("\n".join(rows))
    reporter = LocalReporter(tmp_path / "artifacts")
    run_stage("ingest", IngestSpec(), {"source": tmp_path / "source"}, tmp_path / "work", reporter)
    report = json.loads(reporter.artifacts["report"].read_text())
    assert report["rejected"] == Counter(f"image_{reason}" for _, reason in REJECTED.values())
    index = ShardIndex.open(reporter.artifacts["posts"])
    assert [index.read_post(i).id for i in range(len(index))] == list(CORPUS)
    for i, case in enumerate(CORPUS.values()):
        stored = Image.open(io.BytesIO(index.read_image(i)))
        assert (stored.format, stored.size) == ("JPEG", (case.truth.shape[1], case.truth.shape[0]))
        assert set(stored.info) <= WITHOUT_METADATA
    # Seven orientations in fourteen ways, and one TIFF with XMP; libheif turns a HEIC by itself.
    assert report["repaired"]["image_rotated"] == 7 * 14 + 1
