"""A schedule: runs and predictions, and what happens to them, at times that a seed decides."""

from __future__ import annotations

import io
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import psutil
import redis
from PIL import Image
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from backend.local.servers import ServerError
from backend.store.errors import is_transient
from backend.store.registry import models
from backend.store.runs.create import create_recipe, create_run
from backend.store.runs.states import outbox
from backend.store.runs.states.cancel import request_cancel
from backend.store.runs.states.pause import request_pause
from backend.store.runs.states.resume import resume_run, retry_run
from backend.store.runs.tables import Run
from backend.store.serving import predictions
from backend.store.serving.tables import Prediction
from vise_client.schemas.launch import RecipeCreate, RunCreate
from vise_core.errors import ViseError
from vise_core.specs.models.predict import PredictOptions
from vise_core.specs.recipes.recipe import RecipeSpec

from .invariants import FINAL, violations
from .world import World

SECONDS = 4.0
"""Length of the part in which faults begin."""
RECOVERY_SECONDS = 30.0
"""Time after the last fault within which every run and prediction must have ended."""
START_SECONDS = 120.0
Step = Callable[[], object]


def nothing() -> None:
    """What ends a fault that does not last."""


def at_proxy(world: World, random: Random) -> tuple[str, Step, Step]:
    process = random.choice(list(world.proxies))
    server = random.choice(["database", "broker"])
    proxy = getattr(world.proxies[process], server)
    kind = random.choice(
        ["refuse", "stall", "delay", "half-open", "half-open to client", "half-open to server"]
    )
    name = f"{kind} {process}–{server}"
    if kind == "delay":
        seconds = random.uniform(0.02, 0.3)
        return name, lambda: proxy.delay_by(seconds), lambda: proxy.delay_by(0)
    if kind.startswith("half-open"):
        direction = {"to client": "client", "to server": "server"}.get(kind.partition(" ")[2], "both")
        return name, lambda: proxy.half_open(direction), nothing
    return name, lambda: proxy.set(kind), lambda: proxy.set("pass")


def at_statement(world: World, random: Random) -> tuple[str, Step, Step]:
    """Something that happens when a process sends a certain statement."""
    name = random.choice(["first", "second", "dispatch", "predict"])
    statement = random.choice([b"COMMIT", b"UPDATE runs", b"metric_points", b"run_events", b"FOR UPDATE"])
    kind = random.choice(["freeze", "kill", "lose the response"])
    proxy = world.proxies[name].database
    process = world.processes[name]

    def on_request(data: bytes) -> bool:
        if statement not in data:
            return False
        proxy.on_request = lambda _: False
        if kind == "lose the response":
            return True
        process.send_signal(signal.SIGSTOP if kind == "freeze" else signal.SIGKILL)
        return False

    def harm() -> None:
        proxy.on_request = on_request

    return f"{kind} {name} at {statement.decode()}", harm, lambda: process.send_signal(signal.SIGCONT)


def at_process(world: World, random: Random) -> tuple[str, Step, Step]:
    kind = random.choice(["kill", "freeze", "freeze", "stop"])
    name = random.choice(list(world.processes))
    process = world.processes[name]
    if kind == "freeze":
        return (
            f"freeze {name}",
            lambda: process.send_signal(signal.SIGSTOP),
            lambda: process.send_signal(signal.SIGCONT),
        )
    number = signal.SIGKILL if kind == "kill" else signal.SIGTERM
    return f"{kind} {name}", lambda: process.send_signal(number), world.start_missing


def at_stage(world: World, random: Random) -> tuple[str, Step, Step]:
    kind = random.choice(["freeze the stages", "kill the fork servers"])
    if kind == "freeze the stages":
        return (
            kind,
            lambda: _send(world.stages(), signal.SIGSTOP),
            lambda: _send(world.stages(), signal.SIGCONT),
        )
    return kind, lambda: _send(world.fork_servers(), signal.SIGKILL), nothing


def at_server(world: World, random: Random) -> tuple[str, Step, Step]:
    if random.random() < 0.5:
        return "kill PostgreSQL", lambda: world.kill(world.postgres), world.start_missing
    return "kill Valkey", lambda: world.kill(world.valkey), world.start_missing


def at_queue(world: World, random: Random) -> tuple[str, Step, Step]:
    def duplicate() -> None:
        with world.cluster.sessions.begin() as db:
            open_runs = select(Run.id).where(Run.kind == "stage", Run.state.not_in(FINAL))
            outbox.add(db, [(outbox.RUN_TASK, run) for run in db.scalars(open_runs)], "cpu")
            rows = db.scalars(select(Prediction.id).where(Prediction.state == "queued"))
            outbox.add(db, [(predictions.TASK, row) for row in rows], "predict")

    queue = random.choice(["cpu", "predict"])
    return random.choice(
        [
            ("FLUSHALL", lambda: world.broker().flushall(), nothing),
            (f"delete the queue {queue}", lambda: world.broker().delete(queue), nothing),
            ("every message twice", duplicate, nothing),
        ]
    )


def at_disk(world: World, random: Random) -> tuple[str, Step, Step]:
    return "disk full", world.full.touch, lambda: world.full.unlink(missing_ok=True)


FAULTS = (
    *(at_proxy, at_proxy, at_proxy),
    *(at_statement, at_statement),
    *(at_process, at_process),
    *(at_stage, at_server, at_queue, at_queue, at_disk),
)


def _send(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


@dataclass
class Outcome:
    """What a schedule did and found."""

    seed: int
    seconds: float = 0.0
    recovery: float = 0.0
    faults: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


@dataclass
class Schedule:
    """Runs of one seed, what people do with them, and what goes wrong meanwhile."""

    world: World
    seed: int

    def run(self) -> Outcome:
        outcome = Outcome(self.seed)
        random = Random(self.seed)
        began = time.monotonic()
        runs, asked = self._create(random)
        steps: list[tuple[float, Step]] = []
        for _ in range(random.randint(4, 7)):
            name, harm, heal = random.choice(FAULTS)(self.world, random)
            at, lasts = random.uniform(0, SECONDS), random.uniform(0.3, 3)
            steps += [(at, harm), (at + lasts, heal)]
            outcome.faults.append(f"{at:.1f} s {name} for {lasts:.1f} s")
        for _ in range(random.randint(1, 3)):
            action = random.choice([request_cancel, request_pause, resume_run, retry_run])
            run, at = random.choice(runs), random.uniform(0, SECONDS)
            steps.append((at, lambda action=action, run=run: self._act(action, run)))
            outcome.actions.append(f"{at:.1f} s {action.__name__}")
        for at, step in sorted(steps, key=lambda step: step[0]):
            time.sleep(max(0.0, began + at - time.monotonic()))
            with suppress(ProcessLookupError, SQLAlchemyError, redis.RedisError, ServerError):
                step()
        self.world.heal()
        healed_at = time.monotonic()
        while self._open(runs, asked) and time.monotonic() < healed_at + RECOVERY_SECONDS:
            self.world.start_missing()
            time.sleep(0.1)
        outcome.recovery = time.monotonic() - healed_at
        # Workspaces, uploads and processes go right after the states.
        until = time.monotonic() + 5
        while (broken := violations(self.world, runs, asked)) and time.monotonic() < until:
            time.sleep(0.2)
        outcome.violations = broken
        outcome.seconds = time.monotonic() - began
        return outcome

    def run_without_faults(self) -> list[str]:
        """Return what does not hold although nothing happens; afterwards all processes are warm."""
        runs, asked = self._create(Random(self.seed))
        until = time.monotonic() + START_SECONDS
        while self._open(runs, asked) and time.monotonic() < until:
            time.sleep(0.1)
        return violations(self.world, runs, asked)

    def _create(self, random: Random) -> tuple[list[UUID], list[UUID]]:
        """Two runs, a recipe of two steps, and two predictions."""
        world = self.world
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), random.choice(["teal", "navy"])).save(buffer, "PNG")

        def spec() -> dict[str, object]:
            return {"steps": random.randint(10, 20), "pause": 0.12, "each": random.randint(1, 12)}

        recipe = RecipeSpec.model_validate(
            {
                "title": f"recipe {self.seed}",
                "steps": {
                    "a": {"stage": "count", "spec": spec()},
                    "b": {
                        "stage": "count",
                        "spec": spec(),
                        "inputs": {"counted": {"step": "a", "artifact": "counted"}},
                    },
                },
            }
        )
        with world.cluster.sessions.begin() as db:
            runs = [
                create_run(
                    db, RunCreate(stage="count", name=f"run {self.seed}.{number}", spec=spec()), None
                ).id
                for number in range(2)
            ]
            runs.append(create_recipe(db, RecipeCreate(spec=recipe), None).id)
            model, options = models.get(db, None), PredictOptions()
            asked = [
                predictions.create(
                    db,
                    world.cluster.storage,
                    buffer.getvalue(),
                    model,
                    options,
                    None,
                    predictions.RequestInfo(),
                ).id
                for _ in range(2)
            ]
        return runs, asked

    def _act(self, action: Callable[..., object], run: UUID) -> None:
        with suppress(ViseError, SQLAlchemyError), self.world.cluster.sessions.begin() as db:
            action(db, run)

    def _open(self, runs: list[UUID], asked: list[UUID]) -> bool:
        """Whether something has not ended yet. What people have paused, they resume."""
        family = Run.id.in_(runs) | Run.parent_id.in_(runs)
        try:
            with self.world.cluster.sessions() as db:
                rows = db.execute(select(Run.id, Run.state, Run.kind).where(family)).all()
                queued = db.scalars(
                    select(Prediction.id).where(Prediction.id.in_(asked), Prediction.state == "queued")
                ).all()
        except SQLAlchemyError as error:
            if not is_transient(error):
                raise
            return True
        for run, state, kind in rows:
            if state == "paused" and kind == "stage":
                self._act(resume_run, run)
        return bool(queued) or any(state not in FINAL for _, state, _ in rows)
