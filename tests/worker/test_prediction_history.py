"""Several images and models, the history, what is kept and what is forgotten, feedback as a labelled set."""

import base64
import hashlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import update

from backend.api.app import PREFIX
from backend.store.accounts import users
from backend.store.runs.states.attempts import RetryPolicy
from backend.store.runs.states.reconcile import reconcile
from backend.store.serving import predictions
from backend.store.serving.tables import Prediction
from tests.pictures import encoded
from tests.serving import serving
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from vise_client.schemas.predictions import FeedbackCreate
from vise_core.data.archives import unpack
from vise_core.specs.fetch import UnpackLimits
from vise_core.specs.tasks.catalogue import EMOTIONS
from vise_core.specs.tasks.kinds import CsvTask
from vise_core.tasks import load_task


def photograph(seed: int, size: tuple[int, int] = (90, 60), **options: object) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), "JPEG", **options)


def ask(api: TestClient, data: bytes, **form: str) -> dict:
    response = api.post(f"{PREFIX}/predictions", files={"image": ("x", data)}, data={"wait": "30", **form})
    while response.status_code == 202 or response.json().get("state") == "queued":
        time.sleep(0.2)
        response = api.get(f"{PREFIX}/predictions/{response.json()['id']}")
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "succeeded", response.json()["error"]
    return response.json()


def history(api: TestClient, **query: object) -> list[dict]:
    return api.get(f"{PREFIX}/predictions", params=query).json()["items"]


def sweep(cluster) -> None:
    with cluster.sessions.begin() as db:
        reconcile(db, retries=RetryPolicy(5, 2, 5, 10), republish_seconds=20, prediction_timeout_seconds=120)


def grow_old(cluster, prediction: str) -> None:
    """As if it had been asked two hours ago."""
    with cluster.sessions.begin() as db:
        row = db.get_one(Prediction, UUID(prediction))
        then = row.created_at - 2 * predictions.PICTURE_LIFETIME
        db.execute(update(Prediction).where(Prediction.id == row.id).values(created_at=then))


def decoded(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_the_answer_s_heat_tints_the_picture_as_the_overlay_does(api) -> None:
    from matplotlib import colormaps

    x, y = np.meshgrid(np.linspace(0, 255, 90), np.linspace(0, 255, 60))
    answer = ask(
        api,
        encoded(Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8)), "PNG"),
        colour_map="cividis",
        strength="0.6",
        target_class="fear",
    )
    heat, overlay = decoded(answer["heat_png"]), decoded(answer["overlay_png"]).astype(float)
    picture = Image.open(io.BytesIO(api.get(f"{PREFIX}/predictions/{answer['id']}/picture").content))
    assert heat.shape == (64, 64)
    left, top, right, bottom = (
        round(share * side) for share, side in zip(answer["region"], picture.size * 2, strict=True)
    )
    grown = Image.fromarray(heat).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    blended = np.asarray(picture).astype(float)
    tint = 255 * colormaps["cividis"](np.asarray(grown))[..., :3]
    blended[top:bottom, left:right] = 0.4 * blended[top:bottom, left:right] + 0.6 * tint
    # The picture is a JPEG of the upload, the overlay was drawn on the upload itself.
    assert np.abs(blended - overlay).mean() < 2
    assert (answer["colour_map"], answer["strength"], answer["target_class"]) == ("cividis", 0.6, "fear")


def test_the_same_question_again_is_answered_from_the_row_of_then(api, cluster) -> None:
    """The worker is gone: whoever is answered is answered from what is there."""
    asked = {"overlay": "true", "keep": "true", "target_class": "fear"}
    first = ask(api, photograph(1), **asked)
    bare = ask(api, photograph(2), overlay="false")
    assert bare["overlay_png"] is None
    assert bare["heat_png"] is not None
    assert bare["pictured_until"] is not None
    worker = cluster.processes[-1]
    worker.kill()
    worker.wait()

    again = ask(api, photograph(1), **asked, position="3", batch=str(uuid4()))
    own = {"id", "batch", "position", "created_at", "pictured_until"}
    assert {k: v for k, v in again.items() if k not in own} == {
        k: v for k, v in first.items() if k not in own
    }
    assert again["id"] != first["id"]
    assert [row["thumbnail_jpg"] is not None for row in history(api, batch=again["batch"])] == [True]
    picture = f"{PREFIX}/predictions/{{}}/picture"
    assert api.get(picture.format(again["id"])).content == api.get(picture.format(first["id"])).content != b""

    def queued(data: bytes, **form: str) -> bool:
        response = api.post(f"{PREFIX}/predictions", files={"image": ("x", data)}, data={"wait": "0", **form})
        return response.status_code == 202

    assert not queued(photograph(1), **asked)
    assert queued(photograph(3), **asked)
    assert queued(photograph(1), **asked | {"target_class": "joy"})
    assert queued(photograph(1), **asked | {"keep": "false"})
    assert queued(photograph(1), **asked | {"overlay": "false"})
    # What is forgotten or deleted is no answer any more.
    grow_old(cluster, bare["id"])
    sweep(cluster)
    assert queued(photograph(2), overlay="false")
    # The row of a repetition was not noted: it goes with the first.
    assert api.delete(f"{PREFIX}/predictions/{first['id']}").status_code == 204
    assert queued(photograph(1), **asked)


def test_many_who_ask_at_once_get_what_each_gets_alone(api) -> None:
    """Threads of the worker, one network; the slow reference is one question after the other."""
    questions = [
        (seed, {"method": method, "target_class": target})
        for seed, method, target in zip(
            range(8), ("cam", "gradcam") * 4, ("fear", "joy", "", "") * 2, strict=True
        )
    ]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: ask(api, photograph(one[0]), **one[1]), questions))
    for (seed, form), answer in zip(questions, together, strict=True):
        # A comment behind the picture: other bytes, so that the answer is not that of the row above.
        alone = ask(api, photograph(seed) + b" ", **form)
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
        assert (answer["predicted"], answer["target"]) == (alone["predicted"], alone["target"])
        assert np.abs(decoded(answer["heat_png"]).astype(int) - decoded(alone["heat_png"])).max() <= 1


def test_a_batch_comes_back_by_its_link_and_the_history_is_one_s_own(api, cluster) -> None:
    batch = str(uuid4())
    for position in range(2):
        for method in ("cam", "gradcam"):
            ask(api, photograph(position), batch=batch, position=str(position), method=method)
    ask(api, photograph(7))
    asked = history(api, batch=batch)
    assert sorted((row["position"], row["method"]) for row in asked) == [
        (0, "cam"),
        (0, "gradcam"),
        (1, "cam"),
        (1, "gradcam"),
    ]
    for row in asked:
        whole = api.get(f"{PREFIX}/predictions/{row['id']}").json()
        assert row["probability"] == pytest.approx(max(whole["probabilities"].values()))
        assert row["predicted"] == whole["predicted"]
    assert len(history(api)) == 5

    with cluster.sessions.begin() as db:
        other = users.create_user(db, "other@example.org", None, Role.editor)
        token, _ = users.issue_token(db, other, "api", lifetime=None)
    theirs = {"Authorization": f"Bearer {token}"}
    assert api.get(f"{PREFIX}/predictions", headers=theirs).json()["items"] == []
    shared = api.get(f"{PREFIX}/predictions", params={"batch": batch}, headers=theirs).json()["items"]
    assert len(shared) == 4
    assert api.get(f"{PREFIX}/predictions", params={"everyone": "true"}).status_code == 403
    assert api.delete(f"{PREFIX}/predictions/{asked[0]['id']}", headers=theirs).status_code == 403


def test_the_history_pages_by_key(api) -> None:
    for seed in range(5):
        ask(api, photograph(seed))
    seen, cursor = [], None
    while True:
        page = api.get(f"{PREFIX}/predictions", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [row["id"] for row in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
    assert api.get(f"{PREFIX}/predictions", params={"cursor": "x"}).status_code == 422


def test_thumbnail_and_digest_are_kept_on_request_only_and_pictures_are_forgotten(api, cluster) -> None:
    data = photograph(3, (400, 200))
    plain, kept = ask(api, data), ask(api, data, keep="true")
    assert (plain["kept"], plain["sha256"]) == (False, None)
    assert kept["sha256"] == hashlib.sha256(data).hexdigest()
    assert plain["pictured_until"] is not None
    for answer in (plain, kept):
        grow_old(cluster, answer["id"])
    sweep(cluster)
    rows = {row["id"]: row for row in history(api)}
    assert rows[plain["id"]]["thumbnail_jpg"] is None
    assert decoded(rows[kept["id"]]["thumbnail_jpg"]).shape == (67, 134, 3)
    for answer in (plain, kept):
        later = api.get(f"{PREFIX}/predictions/{answer['id']}").json()
        assert later["probabilities"] == answer["probabilities"]
        assert later["overlay_png"] is later["heat_png"] is later["pictured_until"] is None
        assert api.get(f"{PREFIX}/predictions/{answer['id']}/picture").status_code == 404
    with cluster.sessions() as db:
        row = db.get_one(Prediction, UUID(plain["id"]))
        assert [row.upload, row.picture, row.overlay, row.heat, row.thumbnail, row.sha256] == [None] * 6


def test_what_the_camera_wrote_into_the_file_is_not_kept(api) -> None:
    exif = Image.Exif()
    exif[0x010F] = "CameraMaker"
    data = photograph(4, exif=exif)
    assert b"CameraMaker" in data
    answer = ask(api, data, keep="true")
    picture = api.get(f"{PREFIX}/predictions/{answer['id']}/picture")
    assert picture.headers["content-type"] == "image/jpeg"
    assert b"CameraMaker" not in picture.content
    assert b"CameraMaker" not in base64.b64decode(history(api)[0]["thumbnail_jpg"])


def unpacked(exported: bytes, folder: Path) -> Path:
    """Unpack an exported labelled set as an upload of it is unpacked."""
    archive = folder / "feedback.tar"
    archive.write_bytes(exported)
    unpack(archive, folder, UnpackLimits())
    return folder / "feedback"


def test_feedback_becomes_a_labelled_set_that_our_tasks_read(api, cluster, tmp_path: Path) -> None:
    first, second, twice = (ask(api, photograph(seed)) for seed in (1, 2, 1))
    url = f"{PREFIX}/predictions/{{}}/feedback"
    for answer, label in ((first, "fear"), (second, "joy"), (twice, "love")):
        told = api.put(url.format(answer["id"]), json={"label": label})
        assert (told.status_code, told.json()["feedback"]) == (200, label)
    wrong = api.put(url.format(first["id"]), json={"label": "hunger"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "label")
    # The picture stays for the labelled set when all else is forgotten.
    grow_old(cluster, second["id"])
    sweep(cluster)
    assert [row["feedback"] for row in history(api, with_feedback=True)] == ["love", "joy", "fear"]

    counts = {row["label"]: row["images"] for row in api.get(f"{PREFIX}/feedback/counts").json()}
    assert counts == {"joy": 1, "love": 1}  # the same image twice is one, by its newest label
    exported = api.get(f"{PREFIX}/feedback/export", params={"task": "none"})
    assert exported.headers["content-type"] == "application/x-tar"
    images = load_task(CsvTask(), unpacked(exported.content, tmp_path))
    assert images.classes == ("joy", "love")
    assert sorted(images.classes[label] for label in images.labels) == ["joy", "love"]
    for path in images.paths:
        assert Image.open(path).size == (90, 60)
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem)
    assert images.synthetic is False

    assert api.delete(url.format(second["id"])).json()["feedback"] is None
    assert api.delete(f"{PREFIX}/predictions/{first['id']}").status_code == 204
    rows = api.get(f"{PREFIX}/feedback").json()["items"]
    assert [row["label"] for row in rows] == ["love"]
    assert rows[0]["created_by"] == "editor@example.org"


def test_what_is_forgotten_cannot_be_labelled(api, cluster) -> None:
    answer = ask(api, photograph(1))
    grow_old(cluster, answer["id"])
    sweep(cluster)
    late = api.put(f"{PREFIX}/predictions/{answer['id']}/feedback", json={"label": "joy"})
    assert late.status_code == 409
    assert "predict the image again" in late.json()["detail"]
    assert api.get(f"{PREFIX}/feedback/export", params={"task": "none"}).status_code == 404


def test_generated_images_mark_the_labelled_set_synthetic(api, tmp_path: Path) -> None:
    for seed, label in ((1, "fear"), (2, "joy")):
        answer = ask(api, photograph(seed), synthetic="true")
        api.put(f"{PREFIX}/predictions/{answer['id']}/feedback", json={"label": label})
    exported = api.get(f"{PREFIX}/feedback/export", params={"task": "none"}).content
    assert load_task(CsvTask(), unpacked(exported, tmp_path)).synthetic is True


def test_the_client_waits_for_an_answer_that_takes_longer_than_one_request(api) -> None:
    """Over a real socket, through ViseClient."""
    token = api.headers["Authorization"].removeprefix("Bearer ")
    with serving(api.app, lifespan="off") as url, ViseClient(url, token) as vise:
        vise._http.timeout = 60
        prediction = vise.predict(photograph(5), colour_map="viridis", keep=True, wait=60)
        assert prediction.state == "succeeded"
        assert tuple(prediction.probabilities) == EMOTIONS
        assert vise.prediction_picture(prediction.id).startswith(b"\xff\xd8")
        assert vise.give_feedback(prediction.id, FeedbackCreate(label="joy")).feedback == "joy"
        assert [c.label for c in vise.feedback_counts()] == ["joy"]
        assert vise.export_feedback("none")[:20].startswith(b"feedback/labels.csv")
        assert vise.predictions(limit=1).items[0].id == prediction.id
