"""The stack under load: the processes of ``vise up``, with a worker that executes several runs at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx

from backend.api.app import PREFIX
from backend.local.up import prediction_threads
from backend.store.accounts import users
from backend.store.database import Sessions, connect, session_factory
from benchmarks.stack.database import fill_database
from benchmarks.stack.servers import running, workers
from tests.hostile.stack import add_model, wake
from tests.load import clients
from tests.load.clients import Act, Load
from tests.load.content import Content, fill, start_training
from tests.load.reads import routes
from tests.worker.held_run import hold_run
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role
from vise_client.schemas.runs import RunView

TRAININGS = 4
RUNNING_SECONDS = 120.0
HISTORY = (1000, 100_000)
"""Runs, and points of their curves, that the database holds before."""


@dataclass
class Site:
    """The started stack, what it holds, and the runs that train in it."""

    servers: dict[str, str]
    sessions: Sessions
    vise: ViseClient
    content: Content
    trainings: list[RunView]

    def load(self, count: int, seconds: float) -> tuple[Load, list[str]]:
        """Let clients work; return what they did, and what went wrong with runs meanwhile."""
        with ExitStack() as stack:
            acts = [(kind, self._act(stack, kind, n)) for n, kind in enumerate(clients.share(count))]
            failed, done = self._failed(), {run.id: self._done(run.id) for run in self.trainings}
            load = Load()
            load.run(acts, seconds)
        wrong = [f"run {run_id} failed" for run_id in self._failed() - failed]
        for run in self.trainings:
            view = self.vise.run(run.id)
            if view.state.value != "running" or view.attempt != 1 or self._done(run.id) <= done[run.id]:
                wrong.append(
                    f"{run.name} is {view.state} in attempt {view.attempt}, or did not train: {view.reason}"
                )
        return load, wrong

    def _failed(self) -> set[UUID]:
        return {run.id for run in self.vise.iterate(self.vise.runs, state=["failed"], all=True, limit=200)}

    def _done(self, run_id: UUID) -> float:
        progress = self.vise.run(run_id).progress
        return progress.done if progress is not None else 0.0

    def wait_for_training(self) -> None:
        """Wait until all of the runs train. Raises RuntimeError if one does not."""
        until = time.monotonic() + RUNNING_SECONDS
        while not all(self._done(run.id) for run in self.trainings):
            if time.monotonic() > until:
                raise RuntimeError(f"the runs do not train after {RUNNING_SECONDS:g} s")
            time.sleep(0.5)

    def _act(self, stack: ExitStack, kind: str, number: int) -> Act:
        with self.sessions.begin() as db:
            user = users.create_user(db, f"{number}@example.org", None, Role.admin)
            token, _ = users.issue_token(db, user, "session", lifetime=timedelta(days=1))
        vise = stack.enter_context(ViseClient(self.servers["api"], token))
        if kind == "read":
            paths = httpx.get(f"{self.servers['api']}{PREFIX}/openapi.json").json()["paths"]
            below = {path.removeprefix(PREFIX): methods for path, methods in paths.items()}
            return clients.reader(vise, routes(below, self.content))
        if kind == "page load":
            # The page of a failed run shows its reason as an error, which a page that breaks shows too.
            failed = self._failed()
            shown = [run for run in self.content.ids["run"] if run not in failed]
            return clients.visitor(self.servers["page"], token, shown)
        if kind == "prediction":
            return clients.predictor(vise, number)
        if kind == "metric write":
            return clients.writer(self.sessions, *hold_run(self.sessions))
        return clients.uploader(vise, number)


@contextmanager
def started(folder: Path, *, recipe: bool) -> Iterator[Site]:
    """Start the stack below ``folder``, fill it, and start the runs; with ``recipe`` the sample recipe runs before."""
    # The runs are not needed any more when the stack stops: they need not save their state.
    os.environ |= {"VISE_DATA_ROOT": str(folder / "data"), "VISE_CANCEL_GRACE_SECONDS": "5"}
    slots = str(TRAININGS + 1)  # one is left for the surveys of uploads
    commands = (["dispatch"], ["run", "--queues", "cpu,gpu", "--concurrency", slots])
    (folder / "predict").mkdir()
    with (
        running(folder) as servers,
        workers(servers, folder, *commands, threads=os.cpu_count() or 1),
        workers(servers, folder / "predict", ["run", "--queues", "predict"], threads=prediction_threads()),
        ViseClient(servers["api"], servers["token"]) as vise,
    ):
        fill_database(servers["database"], *HISTORY)
        add_model(servers, folder)
        wake(vise)
        content = fill(vise, folder / "data", recipe=recipe)
        engine = connect(servers["database"])
        trainings = start_training(vise, content, TRAININGS)
        site = Site(servers, session_factory(engine), vise, content, trainings)
        site.wait_for_training()
        yield site
        engine.dispose()
