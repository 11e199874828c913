"""Uploads of every bad and odd kind, over HTTP to a real prediction worker: a right answer or a clear 4xx."""

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from pillow_heif import from_pillow

from backend.api.app import PREFIX
from tests.pictures import encoded, png_bomb
from vise_core.specs.tasks.catalogue import EMOTIONS


def photograph(size: tuple[int, int] = (90, 60)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(photograph(), "JPEG", exif=exif)


def heic(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    from_pillow(image).save(buffer)
    return buffer.getvalue()


def predict(api: TestClient, data: bytes, **form: str):
    return api.post(f"{PREFIX}/predictions", files={"image": ("x", data)}, data={"wait": "30", **form})


def test_odd_uploads_get_an_answer_bad_ones_a_sentence_and_the_service_goes_on(api) -> None:
    frames = [Image.new("P", (40, 40), colour) for colour in range(3)]
    odd = {
        "plain": encoded(photograph(), "JPEG"),
        "grey": encoded(photograph().convert("L"), "JPEG"),
        "cmyk": encoded(photograph().convert("CMYK"), "JPEG"),
        "palette": encoded(photograph().convert("P"), "PNG"),
        "transparent": encoded(photograph().convert("RGBA"), "PNG"),
        "16-bit": encoded(Image.fromarray(np.arange(3600, dtype=np.uint16).reshape(60, 60) * 18), "PNG"),
        "animated": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "webp": encoded(photograph(), "WEBP"),
        "turned": turned(),
        "12 of 16 bits": encoded(Image.fromarray(np.arange(3600, dtype=np.uint16).reshape(60, 60)), "PNG"),
        "float": encoded(Image.fromarray(np.linspace(-1, 7, 3600, dtype=np.float32).reshape(60, 60)), "TIFF"),
        "avif": encoded(photograph(), "AVIF"),
        "heic": heic(photograph()),
    }
    for name, data in odd.items():
        response = predict(api, data)
        assert response.status_code == 200, (name, response.text)
        answer = response.json()
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert list(answer["probabilities"]) == list(EMOTIONS)
        overlay = Image.open(io.BytesIO(base64.b64decode(answer["overlay_png"])))
        portrait = overlay.height > overlay.width
        assert portrait == (name == "turned"), name

    bad = {
        "truncated": encoded(photograph((300, 300)), "JPEG")[:-5000],
        "bomb": png_bomb(9999),
        "torn png": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        "torn gif": b"GIF89a" + b"\xff" * 50,
        "riff": b"RIFF\x10\0\0\0WEBPVP8 ",
        "not finite": encoded(Image.fromarray(np.full((9, 9), np.nan, dtype=np.float32)), "TIFF"),
        "svg": b"<svg><script>alert(1)</script></svg>",
        "large": b"\xff\xd8\xff" + b"\0" * (100 * 2**20),
    }
    for name, data in bad.items():
        response = predict(api, data)
        assert 400 <= response.status_code < 500, (name, response.status_code, response.text)
        assert response.headers["content-type"] == "application/problem+json", name
        assert len(response.json()["detail"]) > 10, name
    assert predict(api, odd["plain"]).status_code == 200


def test_what_an_upload_says_of_itself_is_not_kept(api) -> None:
    secret = b"48.8584N 2.2945E"
    data = encoded(photograph(), "JPEG", comment=secret, xmp=secret, exif=b"Exif\0\0" + secret) + secret
    asked = predict(api, data, keep="true").json()
    picture = api.get(f"{PREFIX}/predictions/{asked['id']}/picture").content
    row = api.get(f"{PREFIX}/predictions", params={"limit": 1}).json()["items"][0]
    for kept in (picture, base64.b64decode(row["thumbnail_jpg"])):
        assert kept.startswith(b"\xff\xd8")
        assert secret not in kept
        assert set(Image.open(io.BytesIO(kept)).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_the_class_the_method_and_the_strength_are_the_user_s(api) -> None:
    data = encoded(photograph(), "PNG")
    for method in ("cam", "gradcam"):
        answer = predict(api, data, method=method, target_class="fear", strength="0.8").json()
        assert (answer["method"], answer["target"]) == (method, "fear")
    wrong = predict(api, data, target_class="hunger")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "target_class")


def test_who_will_not_wait_is_told_where_to_look(api) -> None:
    response = predict(api, encoded(photograph(), "PNG"), wait="0")
    assert response.status_code == 202
    assert response.json()["state"] == "queued"
    where = response.headers["location"]
    for _ in range(300):
        answer = api.get(where).json()
        if answer["state"] != "queued":
            break
        import time

        time.sleep(0.1)
    assert answer["state"] == "succeeded"
