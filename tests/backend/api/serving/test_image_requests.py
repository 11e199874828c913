"""What the API alone can say of an upload, before any worker looks at it."""

import pytest

from backend.api.app import PREFIX

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def predict(api, data: bytes, **form):
    return api.post(f"{PREFIX}/predictions", files={"image": ("x", data)}, data={"wait": "0", **form})


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"hello, I am not an image", 415),
        (SVG, 415),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 90, 415),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", 415),
        (b"<?xml version='1.0'?>" + SVG, 415),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * (2 * 2**20), 413),
        (b"\xff\xd8\xff" + b"\0" * (12 * 2**20), 413),
    ],
)
def test_a_bad_upload_is_a_clear_problem(editor, data, status) -> None:
    response = predict(editor, data)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]


@pytest.mark.parametrize(
    "head",
    [
        *(
            b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0mif1" + brand
            for brand in (b"avif", b"heic", b"heix", b"avis")
        ),
        b"\0\0\0\x18ftypmif1\0\0\0\0heic",
        *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe1"),
    ],
)
def test_every_kind_of_image_that_is_read_gets_as_far_as_the_model(editor, head) -> None:
    assert predict(editor, head + b"\0" * 100).status_code == 409  # no model yet


def test_without_a_model_the_answer_says_how_to_get_one(editor) -> None:
    response = predict(editor, b"\xff\xd8\xff\xe0 a jpeg, perhaps")
    assert response.status_code == 409
    assert "sample recipe" in response.json()["detail"]


def test_a_data_set_lies_below_the_data_root(api, tokens, settings, tmp_path) -> None:
    api.headers["Authorization"] = f"Bearer {tokens['admin']}"
    (settings.data_root / "photos").mkdir()
    (tmp_path / "secret").mkdir()
    (settings.data_root / "out").symlink_to(tmp_path / "secret")

    def register(folder: str):
        return api.post(f"{PREFIX}/datasets", json={"name": folder, "kind": "images", "folder": folder})

    assert register("photos").status_code == 201
    assert register("photos").status_code == 409
    for folder in ("../secret", "/etc", "out", "nowhere", "photos/../../secret"):
        response = register(folder)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "folder"), folder
