"""The peer of the prediction benchmark computes what our predictor does, and its images are what it says."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from benchmarks.prediction import CLASSES
from benchmarks.prediction_peer import SIZE, Peer, commented, photograph
from benchmarks.stack.predictions import form
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier
from vise_core.models.heads import linear_head
from vise_core.predict import Predictor


def test_the_image_weighs_a_megabyte_and_a_comment_changes_its_bytes_only() -> None:
    jpeg = photograph()
    assert 0.9e6 < len(jpeg) < 1.1e6
    other = commented(jpeg, "another")
    assert other != jpeg
    with Image.open(io.BytesIO(jpeg)) as one, Image.open(io.BytesIO(other)) as two:
        assert one.size == SIZE
        assert one.tobytes() == two.tobytes()


@pytest.mark.slow
def test_the_peer_answers_as_our_predictor() -> None:
    backbone = build_backbone("resnet50", seed=0)
    classifier = ImageClassifier(backbone, linear_head(2048, len(CLASSES), seed=0), CLASSES).eval()
    # Answers that differ: an untrained network's features are large, its head's weights small.
    classifier.head.weight.data.mul_(30)
    peer, predictor = Peer(classifier), Predictor(classifier)
    jpegs = [photograph(seed, (320, 240)) for seed in range(3)]
    probabilities, cams = peer.predict([peer.pixels(jpeg) for jpeg in jpegs])
    with ThreadPoolExecutor(2) as pool:
        batched = peer.batched(jpegs, pool)
    for jpeg, theirs, cam, again in zip(jpegs, probabilities, cams, batched, strict=True):
        ours = predictor.predict(jpeg)
        assert list(ours.probabilities.values()) == pytest.approx(theirs.tolist(), abs=1e-4)
        assert again == pytest.approx(theirs, abs=1e-5)
        np.testing.assert_allclose(ours.heat, cam, atol=1e-3)


def test_the_body_of_a_question_is_what_the_api_reads() -> None:
    body = form(b"jpeg", overlay="false")
    assert body.count(b"Content-Disposition: form-data") == 2
    assert b'name="overlay"\r\n\r\nfalse\r\n' in body
    assert b'name="image"; filename="x.jpg"\r\n\r\njpeg\r\n--' in body
