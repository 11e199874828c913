"""Servers and processes for fault schedules: each process reaches each server through a proxy of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.local.processes import free_port
from backend.local.servers import Server, start_postgres, start_valkey
from backend.store.accounts import users as accounts
from backend.store.database import migrate
from tests.proxy import Proxy
from tests.serving import api_command
from vise_client.client import ViseClient
from vise_client.schemas.accounts import Role

from .cluster import SHORT_TIMES, Cluster, cluster_over
from .history import GRACE_SECONDS, SCAN_SECONDS
from .model import add_model
from .posts import add_posts
from .users import ADMIN, EDITORS, REQUEST_SECONDS, Users

INJECTION = Path(__file__).parent / "injection"
WORKER = [sys.executable, "-m", "worker"]
RUN_WORKERS = ("first", "second")
COMMANDS = {
    "dispatch": [*WORKER, "dispatch"],
    "first": [*WORKER, "run", "--queues", "cpu"],
    "second": [*WORKER, "run", "--queues", "cpu"],
    "predict": [*WORKER, "run", "--queues", "predict"],
}
"""Process → its command. The API, whose port is chosen at the start, is one more."""
ROOT = Path(__file__).parents[2]
API = "api"
START_SECONDS = 120.0


@dataclass
class Stop:
    """A process that was sent SIGTERM."""

    process: subprocess.Popen[bytes]
    ended_at: float | None = None


@dataclass
class World:
    """A cluster with its servers, which the schedules of one session share, as starting it takes seconds."""

    cluster: Cluster
    postgres: Server
    valkey: Server
    commands: dict[str, list[str]]
    addresses: dict[str, dict[str, str]]
    links: dict[str, Proxy]
    """Proxies by the names of their two ends: "first–database", "api–broker", "users–api"."""
    tokens: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]]
    posts: set[str] = field(default_factory=set)
    """Posts that nobody has removed yet."""
    stopping: list[Stop] = field(default_factory=list)
    healed_at: float = 0.0

    @property
    def full(self) -> Path:
        """While this file exists, the disk is full."""
        return self.cluster.folder / "full"

    @property
    def at_save(self) -> Path:
        """Once this file exists, the next worker whose stage saves its state is sent the signal in it."""
        return self.cluster.folder / "at_save"

    def signal_at_save(self, number: signal.Signals) -> None:
        part = self.at_save.with_suffix(".part")
        part.write_text(str(int(number)))
        part.rename(self.at_save)

    def terminate(self, process: subprocess.Popen[bytes]) -> None:
        """Send SIGTERM to a process that ``stops`` reports from now on."""
        process.terminate()
        self.stopping.append(Stop(process))

    def stops(self) -> list[tuple[str, float | None]]:
        """Return the processes that were sent SIGTERM, each with the seconds since the faults' end until it ended."""
        for path in self.cluster.folder.glob("at_save.*.sent"):
            _, pid, _ = path.name.split(".")
            if int(path.read_text()) == signal.SIGTERM:
                process = next(process for process in self.cluster.processes if process.pid == int(pid))
                self.stopping.append(Stop(process))
            path.unlink()
        now = time.monotonic()
        for stop in self.stopping:
            if stop.ended_at is None and stop.process.poll() is not None:
                stop.ended_at = now
        return [
            (
                " ".join(map(str, stop.process.args[2:])) if isinstance(stop.process.args, list) else "",
                None if stop.ended_at is None else max(0.0, stop.ended_at - self.healed_at),
            )
            for stop in self.stopping
        ]

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))

    @contextmanager
    def users(self, random: Random, title: str, patience: float = 1.0) -> Iterator[Users]:
        """Users whose requests pass a proxy; they wait ``patience`` times as long for responses."""
        url = f"http://127.0.0.1:{self.links[f'users–{API}'].port}"
        with ExitStack() as exits:
            clients = {
                name: exits.enter_context(ViseClient(url, token, timeout=patience * REQUEST_SECONDS))
                for name, token in self.tokens.items()
            }
            yield Users(clients, random, title)

    def stages(self) -> list[psutil.Process]:
        """Processes that run a stage, with their guardians."""
        found = []
        for child in self._children():
            with suppress(psutil.Error):
                found += child.children(recursive=True)
        return found

    def fork_servers(self) -> list[psutil.Process]:
        found = []
        for child in self._children():
            with suppress(psutil.Error):
                if "forkserver" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def _children(self) -> list[psutil.Process]:
        found = []
        for name in RUN_WORKERS:
            with suppress(psutil.Error):
                found += psutil.Process(self.processes[name].pid).children()
        return found

    def start_missing(self) -> None:
        """Start again what has died, as ``vise up`` or a process manager does."""
        for name, command in self.commands.items():
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.processes[name] = self.cluster.launch(command, name, **self.addresses[name])
        if not self.postgres.running():
            self.postgres.stop()
            self.postgres = _postgres(self.cluster.folder)
        if not self.valkey.running():
            self.valkey.stop()
            at = urlsplit(self.valkey.url)
            self.valkey = start_valkey(self.cluster.folder / "valkey", at.port, at.password)

    def server_processes(self, server: Server) -> list[psutil.Process]:
        """A server with the processes that it has started."""
        with suppress(psutil.Error):
            process = psutil.Process(server.pid)
            return [process, *process.children(recursive=True)]
        return []

    def kill(self, server: Server) -> None:
        """Kill a server and wait until it has ended."""
        others = self.server_processes(server)[1:]
        with suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGKILL)
        # They end when they see that the server has, which those that are frozen do not.
        for process in others:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)
        server.stop()

    def heal(self) -> None:
        """End all faults that last."""
        self.full.unlink(missing_ok=True)
        self.at_save.unlink(missing_ok=True)
        for proxy in self.links.values():
            proxy.heal()
        servers = [*self.server_processes(self.postgres), *self.server_processes(self.valkey)]
        for process in [*servers, *self.processes.values(), *self.stages()]:
            with suppress(ProcessLookupError, psutil.Error):
                process.send_signal(signal.SIGCONT)
        self.start_missing()
        self.healed_at = time.monotonic()


def _postgres(folder: Path) -> Server:
    # A crash of the server loses nothing that it has handed to the system; only a crash of the system would.
    return start_postgres(folder / "pg", settings={"fsync": "off", "full_page_writes": "off"})


@contextmanager
def world(folder: Path, times: Mapping[str, str] = SHORT_TIMES) -> Iterator[World]:
    """All servers and processes, stopped at the end; ``times``: settings, {} for the product's own."""
    with ExitStack() as exits:
        postgres = _postgres(folder)
        valkey = start_valkey(folder / "valkey")
        migrate(postgres.url)
        cluster = exits.enter_context(cluster_over(postgres.url, valkey.url, folder, times))
        cluster.environment |= {
            "VISE_MAX_ATTEMPTS": "100",
            "VISE_GC_SECONDS": "1",
            "VISE_GC_SCAN_SECONDS": f"{SCAN_SECONDS:g}",
            # Longer than any fault here lasts, and short enough to see that nothing stays.
            "VISE_GC_GRACE_SECONDS": f"{GRACE_SECONDS:g}",
            "VISE_TEST_FULL": str(folder / "full"),
            "VISE_TEST_AT_SAVE": str(folder / "at_save"),
            # The stages of the schedules need no libraries.
            "VISE_PRELOAD": "false",
            "PYTHONPATH": os.pathsep.join([cluster.environment["PYTHONPATH"], str(INJECTION), str(ROOT)]),
        }
        # By it their processes are known, also those that get none of the environment.
        cluster.working_folder = folder
        port = free_port()
        commands = COMMANDS | {API: api_command(port)}
        addresses, links = {}, {}
        for name in commands:
            addresses[name], proxies = exits.enter_context(cluster.proxies())
            links[f"{name}–database"], links[f"{name}–broker"] = proxies.database, proxies.broker
        links[f"users–{API}"] = Proxy(("127.0.0.1", port))
        exits.callback(links[f"users–{API}"].close)
        made = World(cluster, postgres, valkey, commands, addresses, links, _tokens(cluster), {})
        try:
            made.start_missing()
            # Meanwhile: both take seconds of a core.
            add_model(cluster, folder)
            made.posts = add_posts(cluster, folder)
            with made.users(Random(0), "start") as users:
                users.wait_until_ready(START_SECONDS)
            yield made
        finally:
            made.heal()
            cluster.stop()
            made.postgres.stop()
            made.valkey.stop()


def _tokens(cluster: Cluster) -> dict[str, str]:
    tokens = {}
    with cluster.sessions.begin() as db:
        for name in (*EDITORS, ADMIN):
            role = Role.admin if name == ADMIN else Role.editor
            user = accounts.create_user(db, f"{name}@example.org", None, role)
            tokens[name], _ = accounts.issue_token(db, user, "api", lifetime=timedelta(days=1))
    return tokens
