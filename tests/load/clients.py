"""The clients: each does one kind of thing again and again, and pauses in between as people and scripts do."""

from __future__ import annotations

import io
import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from backend.store.database import Sessions
from backend.store.metrics import points as metrics
from backend.store.metrics.points import Point
from frontend.navigation import PAGES
from tests.hostile.case import labelled, picture, zipped
from tests.load.page import load_page
from tests.load.reads import Route
from vise_client.client import ViseClient
from vise_client.errors import ClientError

PAUSES = {"read": 1.0, "metric write": 1.0, "prediction": 2.0, "page load": 5.0, "upload": 20.0}
"""Seconds between two requests of a client, on average: those of each kind wait from half of it to one and a half."""
SHARES = {"read": 26, "metric write": 4, "prediction": 8, "page load": 10, "upload": 2}
"""Of fifty clients, how many do what."""
Act = Callable[[random.Random, int], str]
"""Does a thing for the nth time; returns what it was."""


@dataclass(frozen=True)
class Sample:
    """One thing that a client did."""

    kind: str
    name: str
    seconds: float
    error: str = ""


@dataclass
class Load:
    """What all clients did."""

    samples: list[Sample] = field(default_factory=list)

    def run(self, clients: Sequence[tuple[str, Act]], seconds: float) -> None:
        """Let all clients work for so long, each in a thread of its own."""
        done = threading.Event()
        threads = [
            threading.Thread(target=self._work, args=(kind, act, number, done), daemon=True)
            for number, (kind, act) in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        done.wait(seconds)
        done.set()
        for thread in threads:
            thread.join()

    def _work(self, kind: str, act: Act, number: int, done: threading.Event) -> None:
        rng = random.Random(number)
        pause = PAUSES[kind]
        # They do not all begin at once.
        wait = rng.uniform(0, pause)
        for turn in itertools.count():
            if done.wait(wait):
                return
            wait = rng.uniform(0.5, 1.5) * pause
            name, error, began = kind, "", time.monotonic()
            try:
                name = act(rng, turn)
            except Exception as problem:  # Whatever it is, it is counted.
                error = f"{type(problem).__name__}: {problem}"
            self.samples.append(Sample(kind, name, time.monotonic() - began, error))


def share(clients: int) -> list[str]:
    """Return what each client does; at least one of each kind."""
    of = sum(SHARES.values())
    others = {kind: max(1, round(clients * count / of)) for kind, count in SHARES.items() if kind != "read"}
    counts = {"read": max(1, clients - sum(others.values()))} | others
    return [kind for kind, count in counts.items() for _ in range(count)]


def reader(vise: ViseClient, routes: Sequence[Route]) -> Act:
    def act(rng: random.Random, turn: int) -> str:
        route = rng.choice(routes)
        try:
            with vise.stream(route.request(rng)) as response:
                response.read()
        except ClientError as error:
            raise RuntimeError(f"{route.path}: {error}") from error
        return route.path

    return act


def visitor(url: str, token: str, runs: Sequence[UUID]) -> Act:
    def act(rng: random.Random, turn: int) -> str:
        page = rng.choice(list(PAGES.values()))
        query = f"run={rng.choice(runs)}" if page.name == "run" else ""
        load_page(url, token, page.address, query)
        return page.name

    return act


def predictor(vise: ViseClient, number: int) -> Act:
    def act(rng: random.Random, turn: int) -> str:
        # Another comment makes it another file, which no cache knows.
        data, comment = picture("JPEG", 512), f"{number} {turn} {time.monotonic_ns()}".encode()
        view = vise.predict(
            data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
        )
        if view.state != "succeeded":
            raise RuntimeError(f"the prediction {view.state}: {view.error}")
        return "prediction"

    return act


def writer(sessions: Sessions, run_id: UUID, token: int) -> Act:
    """As the process of a run: a second's worth of points in one transaction."""

    def act(rng: random.Random, turn: int) -> str:
        now = datetime.now(UTC)
        steps = range(20 * turn, 20 * turn + 20)
        points = [Point(key, step, rng.random(), None, now) for step in steps for key in ("loss", "lr")]
        with sessions.begin() as db:
            metrics.append(db, run_id, token, points)
        return "40 points"

    return act


def uploader(vise: ViseClient, number: int) -> Act:
    data = zipped(labelled(60) | {f"c/{shade}.png": picture("PNG", 128, shade) for shade in range(60)})

    def act(rng: random.Random, turn: int) -> str:
        vise.upload_dataset(f"upload {number} {turn}", "images.zip", io.BytesIO(data), kind="images")
        return "upload"

    return act
