"""Users who create, cancel, pause, resume, retry, delete, upload, remove and predict through the API at once."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import methodcaller
from random import Random
from typing import TypeVar
from uuid import UUID, uuid4

from PIL import Image

from vise_client.client import ViseClient
from vise_client.errors import ApiError, ClientError, Unreachable
from vise_client.schemas.datasets import DatasetView
from vise_client.schemas.launch import RecipeCreate, RunCreate
from vise_client.schemas.removals import RemovalCreate, RemovalState
from vise_client.schemas.runs import RunView
from vise_client.sender import Request, Steps
from vise_core.specs.recipes.recipe import RecipeSpec

from .history import Accepted, Response

ADMIN, EDITORS = "admin", ("ada", "ben")
REQUEST_SECONDS = 5.0
"""Users give up a request that takes longer. The server may still carry it out."""
READY_SECONDS = 20.0
"""Time after the last fault within which the API accepts requests again."""
CHANGES = ("cancel", "cancel", "pause", "pause", "resume", "resume", "retry", "delete")
ENDED = 5
"""Number of the run that has ended when the others are under way."""
T = TypeVar("T")


@dataclass(frozen=True)
class Action:
    """What a user does at a time; ``target`` is the number of the run to which it happens, or that it creates."""

    at: float
    user: str
    kind: str
    target: int

    def __str__(self) -> str:
        run = (
            f" run {self.target}"
            if self.kind in CHANGES
            else f" {self.target}"
            if "create" in self.kind
            else ""
        )
        return f"{self.at:.1f} s {self.user}: {self.kind}{run}"


@dataclass
class Users:
    """Two editors, who own a run each, and an admin, who owns a recipe and may change everybody's."""

    clients: dict[str, ViseClient]
    random: Random
    title: str
    accepted: Accepted = field(default_factory=Accepted)
    responses: list[Response] = field(default_factory=list)
    targets: list[UUID] = field(default_factory=list)
    """The editors' runs, the recipe, its two steps, and a short run."""
    post: str = ""
    """A post to remove; empty: none."""

    def begin(self) -> None:
        """Create what the schedule's faults are to hit, while nothing is wrong. Raises ClientError."""
        specs = [_spec(self.random) for _ in range(4)]
        # Only one: starting its process takes a third of a second of a core.
        specs[2]["loader_workers"] = 1
        # First: it is to have ended, so that it can be deleted, while the others are under way.
        label = {"steps": 2, "label": f" {self.title}"}
        short = self._create_run(EDITORS[0], f"{self.title}, short", _spec(self.random) | label)
        for editor, spec in zip(EDITORS, specs, strict=False):
            self.targets.append(self._create_run(editor, f"{self.title}, {editor}", spec))
        recipe = self._create_recipe(specs[2], specs[3])
        self.targets += recipe
        self.targets.append(short)
        self.accepted.contents[self.targets[ENDED]] = f"2 {self.title}"
        if self.post:
            removal = self._ask(
                ADMIN, "remove", lambda vise: vise.create_removal(RemovalCreate(posts=[self.post]))
            )
            self.accepted.removals.add(removal.id)
        for editor in EDITORS:
            self._predict(editor, self.random.choice(["teal", "navy"]))

    def plan(self, seconds: float) -> list[Action]:
        """Return what users do within this time; some of it two do to the same run at the same time."""
        actions = []
        for number in range(self.random.randint(3, 6)):
            at = self.random.uniform(0, seconds)
            kind = self.random.choice([*CHANGES, "create", "create twice", "predict"])
            # Of a recipe only the whole is deleted: what its steps were decides how it has ended.
            target = self.random.randrange(3 if kind == "delete" else 5)
            owner = EDITORS[target] if target < len(EDITORS) else ADMIN
            actions.append(Action(at, owner, kind, number if kind.startswith("create") else target))
            if self.random.random() < 0.4:
                actions.append(Action(at, ADMIN, self.random.choice(CHANGES[:-1]), target))
        if self.random.random() < 0.7:
            at = self.random.uniform(0.4 * seconds, seconds)
            actions.append(Action(at, EDITORS[0], "delete", ENDED))
        if self.random.random() < 0.5:
            at = self.random.uniform(0, 0.7 * seconds)
            actions.append(Action(at, ADMIN, "upload", 0))
            if self.random.random() < 0.5:
                actions.append(Action(self.random.uniform(at, seconds), ADMIN, "delete the upload", 0))
        if self.post:
            actions.append(Action(self.random.uniform(0.5 * seconds, seconds), ADMIN, "apply the removal", 0))
        return sorted(actions, key=lambda action: action.at)

    def start(self, actions: list[Action], began: float) -> list[threading.Thread]:
        """Start a thread for each user, who does what is planned, one thing after the other."""
        threads = []
        for user in self.clients:
            mine = [action for action in actions if action.user == user]
            threads.append(threading.Thread(target=self._follow, args=(mine, began), daemon=True))
            threads[-1].start()
        return threads

    def resume(self, run_id: UUID) -> None:
        """Resume what somebody has paused."""
        self._ask(ADMIN, "resume", lambda vise: vise.resume(run_id))

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the API responds. Raises ClientError if it does not in time."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.clients[ADMIN].runs(limit=1)
                return
            except ClientError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)

    def _follow(self, actions: list[Action], began: float) -> None:
        for action in actions:
            time.sleep(max(0.0, began + action.at - time.monotonic()))
            with suppress(ClientError):
                self._act(action)

    def _act(self, action: Action) -> None:
        if action.kind.startswith("create"):
            spec = _spec(Random(str(action)))
            self._create_run(
                action.user, f"{self.title}, {action}", spec, again=action.kind == "create twice"
            )
        elif action.kind == "predict":
            self._predict(action.user, "olive")
        elif action.kind == "delete":
            run_id = self.targets[action.target]
            self._delete(action.user, run_id, methodcaller("delete_run", run_id))
        elif action.kind == "upload":
            self._upload()
        elif action.kind == "delete the upload":
            for dataset_id in list(self.accepted.uploads):
                self._delete(ADMIN, dataset_id, methodcaller("delete_dataset", dataset_id))
        elif action.kind == "apply the removal":
            self.apply_removals()
        else:
            run_id = self.targets[action.target]
            self._ask(action.user, action.kind, lambda vise: getattr(vise, action.kind)(run_id))

    def _create_run(self, user: str, name: str, spec: dict[str, object], *, again: bool = False) -> UUID:
        """Create a run; with ``again`` the request is sent twice with the same key, as after a lost response."""
        returned = self.accepted.created.setdefault(name, set())
        body = RunCreate(stage="count", name=name, spec=spec)
        if not again:
            run_id = self._ask(user, "create", lambda vise: vise.create_run(body)).id
            returned.add(run_id)
        else:
            request = replace(ViseClient.create_run.request(body), key=uuid4())
            with suppress(ClientError):
                returned.add(self._ask(user, "create", lambda vise: vise.follow(_send(request))).id)
            run_id = self._ask(user, "create again", lambda vise: vise.follow(_send(request))).id
            returned.add(run_id)
        self.accepted.runs |= returned
        return run_id

    def _create_recipe(self, first: dict[str, object], second: dict[str, object]) -> list[UUID]:
        reads = {"counted": {"step": "a", "artifact": "counted"}}
        steps = {
            "a": {"stage": "count", "spec": first},
            "b": {"stage": "count", "spec": second, "inputs": reads},
        }
        title = f"{self.title}, recipe"
        returned = self.accepted.created.setdefault(title, set())
        spec = RecipeSpec.model_validate({"title": title, "steps": steps})
        run = self._ask(ADMIN, "create", lambda vise: vise.create_recipe(RecipeCreate(spec=spec)))
        returned.add(run.id)
        self.accepted.runs.add(run.id)
        return [run.id, *(child.id for child in run.children)]

    def _predict(self, user: str, colour: str) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
        view = self._ask(user, "predict", lambda vise: vise.predict(buffer.getvalue(), wait=0))
        self.accepted.predictions.add(view.id)

    def _delete(self, user: str, what: UUID, request: Callable[[ViseClient], object]) -> None:
        try:
            self._ask(user, "delete", request)
        except ClientError as error:
            if isinstance(error, Unreachable) or (isinstance(error, ApiError) and error.status == 503):
                self.accepted.perhaps_deleted.add(what)
            raise
        self.accepted.deleted.add(what)

    def _upload(self) -> None:
        """Upload an archive as a data set; where no response comes, send it again."""
        name, content = f"{self.title}, data", f'{{"id": "{self.title}", "comments": ["nice"]}}\n'.encode()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("posts.jsonl", content)
        returned = self.accepted.created.setdefault(f"Import {name}", set())

        def send(vise: ViseClient) -> DatasetView:
            archive.seek(0)
            return vise.upload_dataset(name, "posts.zip", archive, kind="posts")

        try:
            dataset = self._ask(ADMIN, "upload", send)
        except Unreachable:
            dataset = self._ask(ADMIN, "upload again", send)
        if dataset.run_id is not None:
            returned.add(dataset.run_id)
        self.accepted.uploads[dataset.id] = hashlib.sha256(content).hexdigest()

    def apply_removals(self) -> None:
        """Apply the removals that are listed."""
        for removal_id in self.accepted.removals:
            removal = self._ask(ADMIN, "look at the removal", methodcaller("removal", removal_id))
            if removal.state is RemovalState.listed:
                self._ask(ADMIN, "apply the removal", methodcaller("apply_removal", removal_id))

    def _ask(self, user: str, what: str, request: Callable[[ViseClient], T]) -> T:
        """Send a request and note the response. Raises ClientError."""
        name = f"{user}: {what}"
        try:
            result = request(self.clients[user])
        except ApiError as error:
            self.responses.append(Response(name, error.status, str(error)))
            raise
        except Unreachable as error:
            self.responses.append(Response(name, None, str(error)))
            raise
        self.responses.append(Response(name, 200))
        return result


def _send(request: Request) -> Steps[RunView]:
    """Send a request that creates a run once; the client's own operation sends it again by itself, with its key."""
    return ViseClient.create_run.result((yield request))


def _spec(random: Random) -> dict[str, object]:
    return {"steps": random.randint(8, 16), "pause": 0.1, "each": random.randint(1, 16), "lines": True}
