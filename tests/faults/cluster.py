"""A dispatcher and workers that a test starts, kills, freezes and cuts off from their servers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from backend.store.database import Sessions, connect, session_factory
from backend.store.registry.storage import Storage
from backend.store.runs.create import create_run
from backend.store.runs.read import view_run
from tests.commands import stop_processes
from tests.proxy import Proxy, before
from vise_client.schemas.launch import RunCreate
from vise_client.schemas.runs import RunView

STAGES = Path(__file__).parents[1] / "worker"
"""Folder of the module ``stages``, which processes find by its entry points."""
SHORT_TIMES = {
    "VISE_LEASE_SECONDS": "2",
    "VISE_RECONCILE_SECONDS": "0.5",
    "VISE_REPUBLISH_SECONDS": "3",
    "VISE_RETRY_SECONDS": "0.5",
    "VISE_CANCEL_GRACE_SECONDS": "10",
    "VISE_TELEMETRY_SECONDS": "0.5",
}


@dataclass(frozen=True)
class Proxies:
    """What one process reaches its servers through."""

    database: Proxy
    broker: Proxy


@dataclass
class Cluster:
    """Processes over one database and one broker."""

    environment: dict[str, str]
    sessions: Sessions
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    working_folder: Path | None = None
    """Of its processes; None: that of this one."""

    def start(self, *arguments: str, name: str = "worker", **environment: str) -> subprocess.Popen[bytes]:
        return self.launch([sys.executable, "-m", "worker", *arguments], name, **environment)

    def launch(self, command: list[str], name: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process of the cluster; its output is added to a log of this name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment | {"VISE_WORKER_NAME": name} | environment,
                stdout=log,
                stderr=log,
                cwd=self.working_folder,
            )
        self.processes.append(process)
        return process

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        return self.start("run", "--queues", "cpu", name=name)

    @contextmanager
    def proxies(self) -> Iterator[tuple[dict[str, str], Proxies]]:
        """(environment of a process, what it reaches its servers through)."""
        with ExitStack() as stack:
            addresses, proxies = {}, []
            for name in ("VISE_DATABASE_URL", "VISE_BROKER_URL"):
                addresses[name], proxy = stack.enter_context(before(self.environment[name]))
                proxies.append(proxy)
            yield addresses, Proxies(*proxies)

    def stop(self) -> None:
        stop_processes(self.processes)
        self.processes.clear()

    @property
    def storage(self) -> Storage:
        return Storage(self.environment["VISE_STORAGE_URL"])

    def create(self, stage: str = "count", **body: object) -> UUID:
        with self.sessions.begin() as db:
            return create_run(db, RunCreate.model_validate({"stage": stage, **body}), None).id

    def view(self, run_id: UUID) -> RunView:
        with self.sessions() as db:
            return view_run(db, run_id)

    def wait(self, run_id: UUID, until: Callable[[RunView], bool], seconds: float = 180) -> RunView:
        end = time.monotonic() + seconds
        while not until(view := self.view(run_id)):
            if time.monotonic() > end:
                logs = {p.name: p.read_text()[-2000:] for p in self.folder.glob("*.log")}
                raise AssertionError(f"still {view.state} after {seconds:g} s: {view.reason} {logs}")
            time.sleep(0.05)
        return view

    def wait_final(self, run_id: UUID, seconds: float = 180) -> RunView:
        return self.wait(run_id, lambda run: run.state.final, seconds)

    def points(self, run_id: UUID) -> list[tuple[str, int, float]]:
        """What the stage said; not the curves of the machine."""
        query = text(
            "SELECT key, step, value FROM metric_points "
            "WHERE run_id = :run AND NOT starts_with(key, 'system/') ORDER BY key, step"
        )
        with self.sessions() as db:
            return [tuple(row) for row in db.execute(query, {"run": run_id})]


@contextmanager
def cluster_over(
    database_url: str, broker_url: str, folder: Path, times: Mapping[str, str] = SHORT_TIMES
) -> Iterator[Cluster]:
    """A cluster in which nothing runs yet; by default its times are short."""
    engine = connect(database_url)
    environment = os.environ | {
        "VISE_DATABASE_URL": database_url,
        "VISE_BROKER_URL": broker_url,
        "VISE_STORAGE_URL": f"file://{folder / 'storage'}",
        "VISE_HOME": str(folder),
        # The first answer loads torch: on a busy machine that takes longer than people would wait.
        "VISE_PREDICTION_TIMEOUT_SECONDS": "600",
        # Stages of tests need no torch, which would take each worker that starts seconds of a core.
        "VISE_PRELOAD": "false",
        "PYTHONPATH": str(STAGES),
        **times,
    }
    cluster = Cluster(environment, session_factory(engine), folder)
    try:
        yield cluster
    finally:
        cluster.stop()
        engine.dispose()
