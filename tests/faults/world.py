"""Servers and processes for fault schedules: each process reaches each server through a proxy of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import redis

from backend.local.servers import Server, start_postgres, start_valkey
from backend.store.database import migrate
from tests.proxy import Proxy

from .cluster import Cluster, Proxies, cluster_over
from .model import add_model

INJECTION = Path(__file__).parent / "injection"
COMMANDS = {
    "dispatch": ["dispatch"],
    "first": ["run", "--queues", "cpu"],
    "second": ["run", "--queues", "cpu"],
    "predict": ["run", "--queues", "predict"],
}


@dataclass
class World:
    """A cluster with its servers, which the schedules of one session share, as starting it takes seconds."""

    cluster: Cluster
    postgres: Server
    valkey: Server
    addresses: dict[str, dict[str, str]]
    proxies: dict[str, Proxies]
    processes: dict[str, subprocess.Popen[bytes]]

    @property
    def full(self) -> Path:
        """While this file exists, the disk is full."""
        return self.cluster.folder / "full"

    def all_proxies(self) -> list[Proxy]:
        return [proxy for pair in self.proxies.values() for proxy in (pair.database, pair.broker)]

    def broker(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, socket_timeout=5)

    def stages(self) -> list[psutil.Process]:
        """Processes that run a stage, with their guardians."""
        found = []
        for name in ("first", "second"):
            with suppress(psutil.Error):
                for child in psutil.Process(self.processes[name].pid).children():
                    found += child.children(recursive=True)
        return found

    def fork_servers(self) -> list[psutil.Process]:
        found = []
        for name in ("first", "second"):
            with suppress(psutil.Error):
                for child in psutil.Process(self.processes[name].pid).children():
                    if "forkserver" in " ".join(child.cmdline()):
                        found.append(child)
        return found

    def start_missing(self) -> None:
        """Start again what has died, as ``vise up`` or a process manager does."""
        for name, command in COMMANDS.items():
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.processes[name] = self.cluster.start(*command, name=name, **self.addresses[name])
        if not self.postgres.running():
            self.postgres.stop()
            self.postgres = _postgres(self.cluster.folder)
        if not self.valkey.running():
            self.valkey.stop()
            at = urlsplit(self.valkey.url)
            self.valkey = start_valkey(self.cluster.folder / "valkey", at.port, at.password)

    def kill(self, server: Server) -> None:
        """Kill a server and wait until it has ended."""
        with suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGKILL)
        server.stop()

    def heal(self) -> None:
        """End all faults that last."""
        self.full.unlink(missing_ok=True)
        for proxy in self.all_proxies():
            proxy.heal()
        for process in [*self.processes.values(), *self.stages()]:
            with suppress(ProcessLookupError, psutil.Error):
                process.send_signal(signal.SIGCONT)
        self.start_missing()


def _postgres(folder: Path) -> Server:
    # A crash of the server loses nothing that it has handed to the system; only a crash of the system would.
    return start_postgres(folder / "pg", settings={"fsync": "off", "full_page_writes": "off"})


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """All servers and processes, stopped at the end."""
    with ExitStack() as exits:
        postgres = _postgres(folder)
        valkey = start_valkey(folder / "valkey")
        migrate(postgres.url)
        cluster = exits.enter_context(cluster_over(postgres.url, valkey.url, folder))
        cluster.environment |= {
            "VISE_MAX_ATTEMPTS": "100",
            "VISE_GC_SECONDS": "1",
            "VISE_TEST_FULL": str(folder / "full"),
            # The stages of the schedules need no libraries.
            "VISE_PRELOAD": "false",
            "PYTHONPATH": f"{cluster.environment['PYTHONPATH']}{os.pathsep}{INJECTION}",
        }
        addresses, proxies = {}, {}
        for name in COMMANDS:
            addresses[name], proxies[name] = exits.enter_context(cluster.proxies())
        add_model(cluster, folder)
        made = World(cluster, postgres, valkey, addresses, proxies, {})
        try:
            made.start_missing()
            yield made
        finally:
            made.heal()
            cluster.stop()
            made.postgres.stop()
            made.valkey.stop()
