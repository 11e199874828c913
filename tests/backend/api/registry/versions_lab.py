"""A data set and what is done with it, for tests of its versions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from backend.api.app import PREFIX
from backend.store.database import connect, session_factory

D = f"{PREFIX}/datasets"
NEVER = "has not changed since version"


@pytest.fixture
def admin(api, tokens):
    api.headers["Authorization"] = f"Bearer {tokens['admin']}"
    return api


@pytest.fixture
def db(settings):
    engine = connect(settings.database_url)
    with session_factory(engine)() as session:
        yield session
    engine.dispose()


def write_posts(folder: Path, number: int, words: str = "so lovely") -> None:
    """``number`` posts as JSON lines, each with an image."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for n in range(number):
        Image.new("RGB", (40, 40), (10 * n, 90, 120)).save(folder / "images" / f"{n}.png")
        row = {"id": f"p{n}", "image": f"{n}.png", "comments": [words], "reactions": {"love": 3, "haha": 1}}
        rows.append(json.dumps(row))
    (folder / "posts.jsonl").write_text("\n".join(rows) + "\n")


class Lab:
    """A registered folder of posts with the API around it."""

    def __init__(self, api, settings, work_off: Callable[..., list[UUID]]) -> None:
        self.api, self.settings, self.work_off = api, settings, work_off
        self.folder = settings.data_root / "crawl"
        write_posts(self.folder, 3)
        body = {"name": "crawl", "kind": "posts", "folder": "crawl"}
        self.id = api.post(D, json=body).json()["id"]

    def surveyed(self) -> dict[str, Any]:
        self.work_off(self.settings)
        return self.view()

    def rescan(self) -> dict[str, Any]:
        """The data set after a rescan; says what the survey's log says."""
        run = self.api.post(f"{D}/{self.id}/rescan")
        assert run.status_code == 202, run.text
        self.work_off(self.settings)
        lines = self.api.get(f"{PREFIX}/runs/{run.json()['id']}/logs").json()
        return self.view() | {"said": [line["message"] for line in lines]}

    def view(self) -> dict[str, Any]:
        return self.api.get(f"{D}/{self.id}").json()

    def changes(self) -> dict[str, Any]:
        """Once the look at the folder is done."""
        while (found := self.api.get(f"{D}/{self.id}/changes").json())["state"] == "checking":
            pass
        return found

    def versions(self) -> list[dict[str, Any]]:
        return self.api.get(f"{D}/{self.id}/versions").json()

    def ingest(self, **spec: Any) -> dict[str, Any]:
        """A run that reads the folder, queued."""
        body = {
            "stage": "ingest",
            "spec": {"source": {"kind": "jsonl"}, **spec},
            "inputs": {"source": {"dataset": self.id}},
        }
        made = self.api.post(f"{PREFIX}/runs", json=body)
        assert made.status_code == 201, made.text
        return made.json()

    def ran(self, run: dict[str, Any]) -> dict[str, Any]:
        self.work_off(self.settings)
        return self.run(run)

    def run(self, run: dict[str, Any]) -> dict[str, Any]:
        return self.api.get(f"{PREFIX}/runs/{run['id']}").json()

    def uses(self, **query: Any) -> list[tuple[str, int | None]]:
        rows = self.api.get(f"{D}/{self.id}/runs", params=query).json()["items"]
        return [(row["run_id"], row["version"]) for row in rows]


@pytest.fixture
def lab(admin, settings, work_off) -> Lab:
    return Lab(admin, settings, work_off)


def read_of(run: dict[str, Any]) -> tuple[int | None, int | None, str | None]:
    read = run["datasets"]["source"]
    return read["version"], read["newest"], read["sha256"]
