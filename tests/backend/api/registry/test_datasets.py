"""Data sets come in by upload, address or folder; what is hostile is refused before or by the worker's run."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from tests.backend.api.conftest import Accounts
from tests.pictures import encoded
from vise_client.schemas.accounts import Role


def picture(shade: int) -> bytes:
    return encoded(Image.new("RGB", (48, 40), (shade, 80, 200 - shade)), "JPEG")


def archive(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in names.items():
            made.writestr(name, content)
    return buffer.getvalue()


GOOD = archive({f"set/{label}/{n}.jpg": picture(20 * n) for label in ("cat", "dog") for n in range(4)})


@pytest.fixture
def as_admin(api, tokens):
    api.headers["Authorization"] = f"Bearer {tokens['admin']}"
    return api


@dataclass(frozen=True)
class Site:
    """The API asked by an admin, beside a dispatcher and a worker that may download from this machine."""

    api: TestClient
    settings: Settings


@pytest.fixture(scope="module")
def site(
    new_database: Callable[..., AbstractContextManager[str]],
    accounts: Accounts,
    broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """One for all tests of this file: its worker takes seconds to start."""
    home = tmp_path_factory.mktemp("site")
    (home / "data").mkdir()
    with new_database(accounts.database) as url, ExitStack() as exits:
        settings = Settings(
            database_url=url,
            broker_url=broker_url,
            storage_url=f"file://{home / 'storage'}",
            home=home,
            data_root=home / "data",
        )
        environment = os.environ | {
            "VISE_DATABASE_URL": url,
            "VISE_BROKER_URL": broker_url,
            "VISE_STORAGE_URL": settings.storage_url,
            "VISE_HOME": str(home),
            "VISE_DATA_ROOT": str(settings.data_root),
            "VISE_FETCH_NETWORKS": "127.0.0.0/8",
        }
        log = exits.enter_context((home / "worker.log").open("wb"))
        for command in (["dispatch"], ["run", "--queues", "cpu"]):
            process = subprocess.Popen(
                [sys.executable, "-m", "worker", *command], env=environment, stdout=log, stderr=log
            )
            exits.callback(process.wait, 60)
            exits.callback(process.terminate)
        api = exits.enter_context(TestClient(create_app(settings), raise_server_exceptions=False))
        api.headers["Authorization"] = f"Bearer {accounts.tokens[Role.admin]}"
        yield Site(api, settings)


def upload(api, body: bytes, **query):
    wanted = {"name": "pets", "filename": "pets.zip", **query}
    return api.post(f"{PREFIX}/datasets/upload", params=wanted, content=body)


def arrived(api, dataset: dict, seconds: float = 240) -> dict:
    """The data set once its run is over."""
    end = time.monotonic() + seconds
    while True:
        response = api.get(f"{PREFIX}/datasets/{dataset['id']}").json()
        looked = response["survey"] is not None or response["state"] == "failed"
        if looked and response["state"] != "arriving":
            return response
        assert time.monotonic() < end, response
        time.sleep(0.3)


def test_an_upload_is_unpacked_by_a_worker_and_looked_through(site) -> None:
    made = upload(site.api, GOOD, description="Of my own")
    assert made.status_code == 201, made.text
    assert (made.json()["state"], made.json()["source"]) == ("arriving", "pets.zip")

    # A run may name it at once: it waits until the data is there.
    spec = {"kind": "images"}
    inputs = {"dataset": {"dataset": made.json()["id"]}}
    survey = site.api.post(f"{PREFIX}/runs", json={"stage": "survey", "spec": spec, "inputs": inputs}).json()
    assert survey["state"] in ("waiting", "queued")

    dataset = arrived(site.api, made.json())
    assert dataset["state"] == "ready"
    assert dataset["survey"]["classes"] == {"cat": 4, "dog": 4}
    files = site.api.get(f"{PREFIX}/artifacts/{dataset['thumbnails']}/files").json()
    assert sum(row["path"].startswith("thumbnails/") for row in files) == 8

    end = time.monotonic() + 240
    while (run := site.api.get(f"{PREFIX}/runs/{survey['id']}").json())["state"] != "succeeded":
        assert time.monotonic() < end, run
        assert run["state"] not in ("failed", "cancelled"), run
        time.sleep(0.3)
    assert run["result"]["images"] == 8
    refused = site.api.delete(f"{PREFIX}/runs/{dataset['run_id']}")
    assert refused.status_code == 409


def test_hostile_archives_fail_in_a_sentence_and_leave_nothing(site) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros.jpg", bytes(32 * 2**20))
    bomb = buffer.getvalue()
    hostile = {"traversal": archive({"../../evil.jpg": picture(1)}), "bomb": bomb}
    sent = {name: upload(site.api, body, name=name).json() for name, body in hostile.items()}
    over = {name: arrived(site.api, dataset) for name, dataset in sent.items()}
    assert {one["state"] for one in over.values()} == {"failed"}
    assert "leave its folder" in over["traversal"]["reason"]
    assert "unpacks to more than" in over["bomb"]["reason"]
    assert not list(site.settings.home.rglob("evil.jpg"))
    body = {"stage": "survey", "inputs": {"dataset": {"dataset": sent["bomb"]["id"]}}}
    assert site.api.post(f"{PREFIX}/runs", json=body).status_code == 422


def test_an_address_is_downloaded_by_a_worker_and_its_hash_is_checked(site) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(GOOD)))
            self.end_headers()
            self.wfile.write(GOOD)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{http.server_port}/pets.zip"

    def bring(name: str, sha256: str) -> dict:
        body = {"name": name, "url": url, "sha256": sha256}
        return site.api.post(f"{PREFIX}/datasets/url", json=body).json()

    right, wrong = bring("right", hashlib.sha256(GOOD).hexdigest()), bring("wrong", "0" * 64)
    assert arrived(site.api, right)["survey"]["images"] == 8
    failed = arrived(site.api, wrong)
    assert failed["state"] == "failed"
    assert "SHA-256" in failed["reason"]
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"hello, I am no archive", 415),
        (b"\x89PNG\r\n\x1a\n" + bytes(600), 415),
        (b"%PDF-1.7" + bytes(600), 415),
    ],
)
def test_what_is_no_archive_is_refused_at_once(as_admin, body: bytes, status: int) -> None:
    response = upload(as_admin, body)
    assert response.status_code == status
    assert response.json()["detail"]
    assert as_admin.get(f"{PREFIX}/datasets").json() == []


def test_an_upload_has_a_limit_of_its_own(api, settings, tokens) -> None:
    small = settings.model_copy(update={"max_dataset_bytes": 2048, "max_upload_bytes": 1024})
    with TestClient(create_app(small)) as client:
        client.headers["Authorization"] = f"Bearer {tokens['admin']}"
        assert upload(client, GOOD + bytes(4096)).status_code == 413
        pieces = (b"PK\x03\x04" + bytes(1000) for _ in range(5))
        query = {"name": "pets", "filename": "pets.zip"}
        streamed = client.post(f"{PREFIX}/datasets/upload", params=query, content=pieces)
        assert streamed.status_code == 413
    assert not list((settings.home / "incoming").glob("*"))


def test_a_name_is_taken_once(as_admin) -> None:
    first = upload(as_admin, GOOD)
    assert first.status_code == 201
    assert upload(as_admin, GOOD).json()["id"] == first.json()["id"], "the same upload, sent again"
    assert upload(as_admin, archive({"set/cat/1.jpg": picture(1)})).status_code == 409


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/pets.zip", "pets.zip"),
        ("C:\\data\\pets.zip", "pets.zip"),
        ("..", "archive"),
        (".hidden", "hidden"),
        ("a b\n.zip", "a-b-.zip"),
    ],
)
def test_a_file_name_is_no_path(as_admin, sent: str, kept: str) -> None:
    assert upload(as_admin, GOOD, filename=sent).json()["source"] == kept


@pytest.mark.parametrize(
    "url", ["ftp://example.org/x", "file:///etc/passwd", "nonsense", "https://u:p@example.org/x"]
)
def test_an_address_that_cannot_be_one_is_refused_at_its_field(as_admin, url: str) -> None:
    response = as_admin.post(f"{PREFIX}/datasets/url", json={"name": "x", "url": url})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "url")


def test_a_registered_folder_is_looked_through(site) -> None:
    for label in ("joy", "fear"):
        (site.settings.data_root / "faces" / label).mkdir(parents=True)
        (site.settings.data_root / "faces" / label / "1.jpg").write_bytes(picture(9))
    body = {"name": "faces", "kind": "images", "folder": "faces"}
    made = site.api.post(f"{PREFIX}/datasets", json=body).json()
    assert (made["state"], made["survey"]) == ("ready", None)
    assert arrived(site.api, made)["survey"]["classes"] == {"joy": 1, "fear": 1}


def test_data_sets_are_searched_and_paged(as_admin, settings) -> None:
    for name in ("alpha", "beta", "gamma"):
        (settings.data_root / name).mkdir()
        as_admin.post(f"{PREFIX}/datasets", json={"name": name, "kind": "posts", "folder": name})

    def found(**query):
        return [one["name"] for one in as_admin.get(f"{PREFIX}/datasets", params=query).json()]

    assert found() == ["alpha", "beta", "gamma"]
    assert found(limit=1, offset=1) == ["beta"]
    assert found(search="AMM") == ["gamma"]
    assert found(kind="images") == []


def test_a_tar_is_an_archive_too(as_admin) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("cat/1.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    assert upload(as_admin, buffer.getvalue(), filename="pets.tar").status_code == 201
