"""A schedule: runs and predictions, what users do with them, and what goes wrong, at times that a seed decides."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import redis
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from backend.local.servers import ServerError
from backend.store.errors import is_transient
from backend.store.runs.tables import Run
from backend.store.serving.tables import Prediction
from vise_client.errors import ClientError

from . import posts
from .faults import FAULTS, Step
from .history import GRACE_SECONDS, RECOVERY_SECONDS, ids, read_history
from .invariants import FINAL, Violation, violations
from .users import READY_SECONDS, Users
from .world import START_SECONDS, World

SECONDS = 3.0
"""Length of the part in which faults begin."""
REMOVALS = 0.2
"""Share of the schedules in which a post is removed: a removal reads the whole storage several times."""
LASTS = (0.3, 2.0)
"""Bounds of the time that a fault lasts."""
TIDY_SECONDS = GRACE_SECONDS + 5
"""Time after the last run's end within which workspaces, uploads and processes are gone; nearly always at once."""


@dataclass
class Outcome:
    """What a schedule did and found."""

    seed: int
    seconds: float = 0.0
    recovery: float = 0.0
    faults: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)


@dataclass
class Schedule:
    """Runs of one seed, what users do with them, and what goes wrong meanwhile."""

    world: World
    seed: int
    patience: float = 1.0
    """Factor of the times within which all must be well: on a machine that is busy with other work only what never
    ends is a fault."""

    def run(self, *, faults: bool = True) -> Outcome:
        """Run the schedule; without faults, all processes are warm afterwards."""
        outcome = Outcome(self.seed)
        random = Random(self.seed)
        before = ids(self.world)
        with self.world.users(random, f"seed {self.seed}", self.patience) as users:
            if random.random() < REMOVALS or not faults:
                users.post = posts.name(self.seed)
            users.begin()
            began = time.monotonic()
            if faults:
                self._harm(users, random, began, outcome)
            healed_at = time.monotonic()
            bound = self.patience * (RECOVERY_SECONDS if faults else START_SECONDS)
            while self._open(users, before) and time.monotonic() < healed_at + bound:
                self.world.start_missing()
                time.sleep(0.1)
            users.wait_until_ready(self.patience * READY_SECONDS)
            outcome.recovery = time.monotonic() - healed_at
            until = time.monotonic() + self.patience * TIDY_SECONDS
            while True:
                with suppress(ClientError):
                    users.apply_removals()
                history = read_history(
                    self.world,
                    before=before,
                    accepted=users.accepted,
                    responses=users.responses,
                    recovery=outcome.recovery,
                    bound=bound,
                )
                outcome.violations = violations(history)
                if not outcome.violations or time.monotonic() > until:
                    break
                time.sleep(0.3)
        self.world.posts = history.posts_now
        self.world.stopping.clear()
        outcome.responses = [f"{r.request}: {r.status or 'no response'}" for r in users.responses]
        outcome.seconds = time.monotonic() - began
        return outcome

    def _harm(self, users: Users, random: Random, began: float, outcome: Outcome) -> None:
        """Let users act and things go wrong; return when everything is healed and nobody acts any more."""
        steps: list[tuple[float, Step]] = []
        for _ in range(random.randint(4, 7)):
            fault = random.choice(FAULTS)(self.world, random)
            at, lasts = random.uniform(0, SECONDS), random.uniform(*LASTS)
            steps += [(at, fault.harm), (at + lasts, fault.heal)]
            outcome.faults.append(f"{at:.1f} s {fault.name} for {lasts:.1f} s")
        actions = users.plan(SECONDS)
        outcome.actions = [str(action) for action in actions]
        threads = users.start(actions, began)
        for at, step in sorted(steps, key=lambda step: step[0]):
            time.sleep(max(0.0, began + at - time.monotonic()))
            with suppress(ProcessLookupError, SQLAlchemyError, redis.RedisError, ServerError):
                step()
        self.world.heal()
        for thread in threads:
            thread.join()  # Each of its requests ends by itself.

    def _open(self, users: Users, before: set[UUID]) -> bool:
        """Whether something has not ended yet. What users have paused, they resume."""
        try:
            with self.world.cluster.sessions() as db:
                rows = db.execute(
                    select(Run.id, Run.state, Run.kind).where(Run.id.not_in(before), Run.state.not_in(FINAL))
                ).all()
                queued = select(Prediction.id).where(
                    Prediction.id.not_in(before), Prediction.state == "queued"
                )
                waiting = db.scalars(queued).all()
        except SQLAlchemyError as error:
            if not is_transient(error):
                raise
            return True
        for run_id, state, kind in rows:
            if state == "paused" and kind == "stage":
                with suppress(ClientError):
                    users.resume(run_id)
        return bool(rows or waiting)
