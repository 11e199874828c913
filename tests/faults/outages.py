"""Outages of 60 s: ``python -m tests.faults.outages``, or ``make outages``.

Each of worker, dispatcher, PostgreSQL and Valkey is frozen (SIGSTOP), cut off (connections refused) and half-open (what
is sent arrives, no response comes back), with the product's own settings. The table says after how many seconds the
route /health, the page Home and the API's log report it, and after how many seconds all is well again: /health
says ok, and a run and a prediction that were requested at the end of the outage are done. Each part is also killed
(SIGKILL) and started again at once. Exits with 1 if something comes later than its bound, or if the run that was under
way is not finished with all its points.
"""

from __future__ import annotations

import argparse
import io
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import PropertyMock, patch
from uuid import UUID

import psutil
from PIL import Image

from vise_client.client import ViseClient
from vise_client.errors import ClientError
from vise_client.schemas.launch import RunCreate
from vise_core.specs.stages import register

from .cluster import STAGES
from .users import ADMIN
from .world import API, RUN_WORKERS, START_SECONDS, World, world

REPORT_SECONDS = RECOVERY_SECONDS = 20.0
KILLED_SECONDS = 30.0
REQUEST_SECONDS = 10.0
STEPS = 40
"""Of the run that is under way: it has far to go when the outage begins."""
COLUMNS = ("/health", "Home", "log", "well again")


class Part(NamedTuple):
    """A part of the stack: its process or server, the links that lead to it, and what /health and the log call it."""

    title: str
    process: str
    links: tuple[str, ...]
    called: str


DATABASE_LINKS = tuple(f"{name}–database" for name in ("dispatch", "first", "second", "predict", API))


def worker_part(name: str) -> Part:
    return Part("worker", name, (f"{name}–database", f"{name}–broker"), "workers")


PARTS = (
    worker_part(RUN_WORKERS[0]),
    Part("dispatcher", "dispatch", ("dispatch–database", "dispatch–broker"), "dispatcher"),
    Part("PostgreSQL", "postgres", DATABASE_LINKS, "database"),
    Part("Valkey", "valkey", tuple(link.replace("database", "broker") for link in DATABASE_LINKS), "broker"),
)
KINDS = ("frozen", "cut off", "half-open", "killed")
MODES: Mapping[str, Any] = {"cut off": "refuse", "half-open": "half-open"}


@dataclass
class Outage:
    """What was measured of one outage: by column, seconds; None for what did not come."""

    part: Part
    kind: str
    seconds: dict[str, float | None] = field(default_factory=dict)
    failure: str = ""
    """Why the outage could not be measured, or the run that was under way is not as it should be."""

    @property
    def bad(self) -> bool:
        return bool(self.failure or self.late())

    def late(self) -> list[str]:
        """Return the columns whose bound is exceeded. What is killed is back before anybody needs to be told."""
        bounds = dict.fromkeys(COLUMNS[:3], REPORT_SECONDS) if self.kind != "killed" else {}
        bounds[COLUMNS[3]] = KILLED_SECONDS if self.kind == "killed" else RECOVERY_SECONDS
        return [name for name, bound in bounds.items() if not _within(self.seconds.get(name), bound)]

    def row(self) -> str:
        seconds = [self.seconds.get(name) for name in COLUMNS]
        cells = "".join(f"{'–':>12}" if value is None else f"{value:12.1f}" for value in seconds)
        late = f"  late: {', '.join(self.late())}" if self.late() else ""
        return f"{self.part.title:12}{self.kind:10}{cells}{late}{f'  {self.failure}' if self.failure else ''}"


def _within(seconds: float | None, bound: float) -> bool:
    return seconds is not None and seconds <= bound


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.outages", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of each outage (default: 60)")
    titles = [part.title for part in PARTS]
    parser.add_argument("--parts", nargs="+", choices=titles, default=titles)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    # Streamlit warns of each page that is drawn without its server.
    logging.disable(logging.WARNING)
    # Stopped from outside, it still stops its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.path.insert(0, str(STAGES))
    register(import_module("stages").COUNT)
    folder = Path(tempfile.mkdtemp(prefix="vise-o-"))
    outages: list[Outage] = []
    with world(folder, times={}) as made:
        url = f"http://127.0.0.1:{made.links[f'users–{API}'].port}"
        with ViseClient(url, made.tokens[ADMIN], timeout=REQUEST_SECONDS) as vise:
            well_again(vise, time.monotonic(), START_SECONDS)
            print(f"{'part':12}{'outage':10}{''.join(f'{name:>12}' for name in COLUMNS)}", flush=True)
            for part in PARTS:
                for kind in (k for k in KINDS if k in options.kinds and part.title in options.parts):
                    outages.append(measure(made, vise, url, part, kind, options.seconds))
                    print(outages[-1].row(), flush=True)
    bad = [outage for outage in outages if outage.bad]
    print(f"{len(outages)} outages, {len(bad)} beyond a bound{f'; logs in {folder}' if bad else ''}")
    if not bad:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


def measure(made: World, vise: ViseClient, url: str, part: Part, kind: str, seconds: float) -> Outage:
    """Let a part be out for some seconds; what goes wrong is noted, and the other outages are still measured."""
    outage = Outage(part, kind)
    try:
        _measure(made, vise, url, outage, seconds)
    except (AssertionError, ClientError, TimeoutError) as error:
        outage.failure = f"{type(error).__name__}: {error}"
        made.heal()
    return outage


def _measure(made: World, vise: ViseClient, url: str, outage: Outage, seconds: float) -> None:
    """Measure an outage, with a run under way."""
    part, kind = outage.part, outage.kind
    run = RunCreate(stage="count", name="under way", spec={"steps": STEPS, "pause": 0.5})
    under_way = vise.create_run(run).id
    while vise.run(under_way).latest.get("count", 0) < 2:
        time.sleep(0.2)
    if part.process in RUN_WORKERS:
        part = worker_part(str(vise.run(under_way).worker))
    heal = _harm(made, part, kind)
    began = time.monotonic()
    if kind != "killed":
        with _watching(made, url, vise, outage, began):
            time.sleep(max(0.0, began + seconds - time.monotonic()))
    heal()
    ended = time.monotonic()
    outage.seconds["well again"] = well_again(vise, ended, 3 * KILLED_SECONDS, under_way)
    run_view = vise.wait_for(under_way, timeout=2 * KILLED_SECONDS)
    assert run_view.state == "succeeded", (run_view.reason, run_view.error)
    assert run_view.latest["count"] == STEPS - 1, run_view.latest


def well_again(vise: ViseClient, since: float, most: float, under_way: UUID | None = None) -> float | None:
    """Return the seconds until all is well; None if it is not in time.

    All is well when /health says ok, a run and a prediction requested now are done, and a run that was under way goes
    on.
    """
    buffer = io.BytesIO()
    Image.effect_noise((32, 32), 50).convert("RGB").save(buffer, "PNG")
    short = RunCreate(stage="count", name="afterwards", spec={"steps": 1, "pause": 0.0})
    run_id = prediction_id = before = None
    while time.monotonic() < since + most:
        with suppress(ClientError):
            run_id = run_id or vise.create_run(short).id
            prediction_id = prediction_id or vise.predict(buffer.getvalue(), wait=0).id
            done = [
                vise.run(run_id).state == "succeeded",
                vise.prediction(prediction_id).state == "succeeded",
                vise.health().status == "ok",
            ]
            if under_way is not None:
                run = vise.run(under_way)
                before = run.latest["count"] if before is None else before
                done.append(run.state == "succeeded" or run.latest["count"] > before)
            if all(done):
                return time.monotonic() - since
        time.sleep(0.2)
    return None


def _harm(made: World, part: Part, kind: str) -> Callable[[], object]:
    """Begin an outage; return what ends it."""
    if kind in MODES:
        for link in part.links:
            made.links[link].set(MODES[kind])
        return made.heal
    server = getattr(made, part.process, None)
    if kind == "killed":
        if server is not None:
            made.kill(server)
        else:
            made.processes[part.process].kill()
            made.processes[part.process].wait()
        return made.start_missing
    processes = (
        made.server_processes(server)
        if server is not None
        else [psutil.Process(made.processes[part.process].pid)]
    )
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    return made.heal


@contextmanager
def _watching(made: World, url: str, vise: ViseClient, outage: Outage, began: float) -> Iterator[None]:
    """Until the block ends, note when /health, Home and the log first report the outage."""
    log = made.cluster.folder / f"{API}.log"
    start, done = log.stat().st_size, threading.Event()
    called = outage.part.called

    def health_says() -> bool:
        return any(part.name == called and part.message for part in vise.health().parts)

    def log_says() -> bool:
        with log.open(encoding="utf-8", errors="replace") as file:
            file.seek(start)
            return reports_in_log(file, called)

    def home_says() -> bool:
        time.sleep(0.5)  # Drawing a page takes half a second of a core.
        return any(f"**{called.capitalize()}: " in message for message in home(url, made.tokens[ADMIN]))

    def watch(column: str, says: Callable[[], bool]) -> None:
        while not done.wait(0.2):
            with suppress(ClientError):
                if says():
                    outage.seconds[column] = time.monotonic() - began
                    return

    checks = zip(COLUMNS, (health_says, home_says, log_says), strict=False)
    threads = [threading.Thread(target=watch, args=check, daemon=True) for check in checks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(2 * REQUEST_SECONDS)


def reports_in_log(lines: Iterable[str], called: str) -> bool:
    """Return whether a line says that this part is not well; an earlier outage's "well again" may come late."""
    return any(line.startswith(f"{called}: ") and not line.rstrip().endswith("well again") for line in lines)


def home(url: str, token: str) -> list[str]:
    """Return the error messages on Home, as a browser that opens it now shows them."""
    from streamlit.testing.v1 import AppTest

    from frontend import navigation
    from frontend.settings import session_cookie

    app = Path(navigation.__file__).with_name("app.py")
    cookies = PropertyMock(return_value={session_cookie(): token})
    with (
        patch.dict("os.environ", VISE_API_URL=url),
        patch("streamlit.runtime.context.ContextProxy.cookies", cookies),
    ):
        page = AppTest.from_file(str(app), default_timeout=60).run()
    return [error.value for error in page.error]


if __name__ == "__main__":
    sys.exit(main())
