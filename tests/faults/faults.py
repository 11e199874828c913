"""The faults of which a schedule is made: each draws from the seed what it does to which part.

The process that a fault harms is looked up when it begins: one that was drawn may have been started again since.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import psutil
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from backend.store.runs.states import outbox
from backend.store.runs.tables import Run
from backend.store.serving import predictions
from backend.store.serving.tables import Prediction
from tests.proxy import Mode

from .invariants import FINAL
from .world import World

Step = Callable[[], object]
KINDS = ("refuse", "stall", "no response", "delay", "half-open", "half-open to client", "half-open to server")
STATEMENTS = {
    "dispatch": (b"COMMIT", b"FOR UPDATE", b"DELETE FROM outbox", b"UPDATE runs", b"run_events"),
    "first": (
        b"COMMIT",
        b"UPDATE runs",
        b"metric_points",
        b"run_events",
        b"FOR UPDATE",
        b"INSERT INTO artifacts",
    ),
    "predict": (b"COMMIT", b"UPDATE predictions"),
    "api": (
        b"COMMIT",
        b"INSERT INTO runs",
        b"UPDATE runs",
        b"run_events",
        b"DELETE FROM runs",
        b"predictions",
    ),
}
STATEMENTS["second"] = STATEMENTS["first"]
"""Process → pieces of statements that it sends."""


@dataclass(frozen=True)
class Fault:
    """What a fault is called, what begins it, and what ends it."""

    name: str
    harm: Step
    heal: Step = lambda: None


def at_link(world: World, random: Random) -> Fault:
    """Refuse, stall or delay what passes between two parts, or cut it in silence."""
    link, kind = random.choice(list(world.links)), random.choice(KINDS)
    proxy, name = world.links[link], f"{kind} {link}"
    if kind == "delay":
        seconds = random.uniform(0.02, 0.3)
        return Fault(name, lambda: proxy.delay_by(seconds), lambda: proxy.delay_by(0))
    if kind.startswith("half-open"):
        direction = {"to client": "client", "to server": "server"}.get(kind.partition(" ")[2], "both")
        return Fault(name, lambda: proxy.half_open(direction))
    mode: Mode = "half-open" if kind == "no response" else "refuse" if kind == "refuse" else "stall"
    return Fault(name, lambda: proxy.set(mode), lambda: proxy.set("pass"))


def at_statement(world: World, random: Random) -> Fault:
    """Freeze or kill a process when it sends a certain statement, or lose the response."""
    name = random.choice(list(STATEMENTS))
    statement = random.choice(STATEMENTS[name])
    kind = random.choice(["freeze", "kill", "lose the response"])
    proxy = world.links[f"{name}–database"]
    frozen: list[subprocess.Popen[bytes]] = []

    def on_request(data: bytes) -> bool:
        if statement not in data:
            return False
        proxy.on_request = lambda _: False
        if kind == "lose the response":
            return True
        process = world.processes[name]
        frozen.append(process)
        process.send_signal(signal.SIGSTOP if kind == "freeze" else signal.SIGKILL)
        return False

    def harm() -> None:
        proxy.on_request = on_request

    def heal() -> None:
        for process in frozen:
            process.send_signal(signal.SIGCONT)
        world.start_missing()

    return Fault(f"{kind} {name} at {statement.decode()}", harm, heal)


def at_process(world: World, random: Random) -> Fault:
    """Kill, freeze or stop a process."""
    kind = random.choice(["kill", "freeze", "freeze", "stop"])
    name = random.choice(list(world.processes))
    if kind == "freeze":
        return _freeze(name, lambda: _processes(world.processes[name].pid))
    if kind == "kill":
        return Fault(f"kill {name}", lambda: world.processes[name].kill(), world.start_missing)
    return Fault(f"stop {name}", lambda: world.terminate(world.processes[name]), world.start_missing)


def at_stage(world: World, random: Random) -> Fault:
    """Freeze the processes of stages, or kill those that fork them."""
    if random.random() < 0.5:
        # Remembered: once their fork server is dead, nobody finds them among the processes of a worker.
        return _freeze("the stages", world.stages)
    return Fault("kill the fork servers", lambda: _send(world.fork_servers(), signal.SIGKILL))


def at_server(world: World, random: Random) -> Fault:
    """Kill or freeze PostgreSQL or Valkey."""
    name = random.choice(["postgres", "valkey"])
    if random.random() < 0.5:
        return Fault(f"kill {name}", lambda: world.kill(getattr(world, name)), world.start_missing)
    return _freeze(name, lambda: world.server_processes(getattr(world, name)))


def at_save(world: World, random: Random) -> Fault:
    """Stop or kill the worker whose stage saves its state next, in the midst of that."""
    kind = random.choice(["stop", "stop", "kill"])
    number = signal.SIGTERM if kind == "stop" else signal.SIGKILL

    def heal() -> None:
        world.at_save.unlink(missing_ok=True)
        world.start_missing()

    return Fault(f"{kind} a worker at a save", lambda: world.signal_at_save(number), heal)


def at_queue(world: World, random: Random) -> Fault:
    """Lose messages, or send them twice."""

    def duplicate() -> None:
        with suppress(SQLAlchemyError), world.cluster.sessions.begin() as db:
            open_runs = select(Run.id).where(Run.kind == "stage", Run.state.not_in(FINAL))
            outbox.add(db, [(outbox.RUN_TASK, run) for run in db.scalars(open_runs)], "cpu")
            rows = db.scalars(select(Prediction.id).where(Prediction.state == "queued"))
            outbox.add(db, [(predictions.TASK, row) for row in rows], "predict")

    queue = random.choice(["cpu", "predict"])
    return random.choice(
        [
            Fault("FLUSHALL", lambda: world.broker().flushall()),
            Fault(f"delete the queue {queue}", lambda: world.broker().delete(queue)),
            # In a thread: while the server is frozen, what ends that must not wait.
            Fault("every message twice", threading.Thread(target=duplicate, daemon=True).start),
        ]
    )


def at_disk(world: World, random: Random) -> Fault:
    """Have no file written out."""
    return Fault("disk full", world.full.touch, lambda: world.full.unlink(missing_ok=True))


FAULTS = (
    *(at_link, at_link, at_link),
    *(at_statement, at_statement),
    *(at_process, at_process, at_save, at_save),
    *(at_stage, at_server, at_queue, at_queue, at_disk),
)


def _freeze(name: str, find: Callable[[], list[psutil.Process]]) -> Fault:
    frozen: list[psutil.Process] = []

    def freeze() -> None:
        frozen[:] = find()
        _send(frozen, signal.SIGSTOP)

    return Fault(f"freeze {name}", freeze, lambda: _send(frozen, signal.SIGCONT))


def _processes(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [psutil.Process(pid)]
    return []


def _send(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
