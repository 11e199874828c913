"""The stack of docker-compose.yml, started from its own commands and environment, as plain processes.

Only what a container network would give is replaced: the addresses of the other services, the published ports and
the folders of the volumes. Order and health checks are those of the compose file.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest
import yaml

from backend.local.processes import free_port
from tests.commands import stop_processes

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
SECRETS = {"POSTGRES_PASSWORD": "0f" * 24, "REDIS_PASSWORD": "f0" * 24}
START_SECONDS = 90.0


def interpolate(text: str) -> str:
    """``${NAME:-default}`` and ``${NAME:?message}`` as Compose does it, with our secrets and nothing else set."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.group(1), match.group(2), match.group(3)
        if name in SECRETS:
            return SECRETS[name]
        assert operator == ":-", f"{name} has no value"
        return rest

    return re.sub(r"\$\{([A-Z_]+)(:-|:\?)([^}]*)\}", value, text)


@dataclass
class Stack:
    """Running processes by service name, and how this machine's addresses differ from the containers'."""

    folder: Path
    database_url: str
    broker_url: str
    api_port: int = field(default_factory=free_port)
    ui_port: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def local(self, text: str) -> str:
        """A value of the compose file with container addresses replaced by local ones."""
        password = SECRETS["POSTGRES_PASSWORD"]
        addresses = {
            f"postgresql+psycopg://vise:{password}@postgres:5432/vise": self.database_url,
            f"redis://:{SECRETS['REDIS_PASSWORD']}@redis:6379/0": self.broker_url,
            "http://api:8000": f"http://127.0.0.1:{self.api_port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.api_port}",
            "127.0.0.1:8501": f"127.0.0.1:{self.ui_port}",
            "/data/": f"{self.folder}/data/",
            "/datasets": f"{self.folder}/datasets",
            "/tmp": str(self.folder / "tmp"),
        }
        text = interpolate(text)
        pattern = re.compile("|".join(re.escape(address) for address in addresses))
        ports = {"0.0.0.0": "127.0.0.1", "8000": str(self.api_port), "8501": str(self.ui_port)}
        return ports.get(text) or pattern.sub(lambda match: addresses[match.group()], text)

    def command(self, parts: list[str]) -> list[str]:
        program, *arguments = [self.local(part) for part in parts]
        return [str(Path(sys.executable).with_name(program)), *arguments]

    def environment(self, service: str) -> dict[str, str]:
        """The service's own variables, and of ours only what a container would have too."""
        given = {k: self.local(str(v)) for k, v in SERVICES[service]["environment"].items() if v is not None}
        home = str(self.folder / "data/home")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        # A container's host name is its own; here the services share one, and take their names from this.
        name = {"VISE_WORKER_NAME": service}
        return {"PATH": path, "HOME": home, "VISE_HOME": home, "OMP_NUM_THREADS": "1"} | name | given

    def start(self, service: str, log: IO[bytes]) -> None:
        self.running[service] = subprocess.Popen(
            self.command(SERVICES[service]["command"]),
            env=self.environment(service),
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text(errors="replace")[-4000:]

    def health_command(self, service: str) -> list[str]:
        """The compose file's check, else that of the service's image."""
        check = SERVICES[service].get("healthcheck")
        if check:
            kind, *command = check["test"]
            assert kind == "CMD"
            return self.command(command)
        target = SERVICES[service]["build"]["target"]
        stage = re.search(rf"^FROM base AS {target}$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
        assert stage
        shown = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])$", stage.group(1), re.MULTILINE | re.DOTALL)
        assert shown
        return self.command(yaml.safe_load(shown.group(1)))

    def healthy(self, service: str) -> bool:
        command = self.health_command(service)
        return (
            subprocess.run(command, env=self.environment(service), cwd=ROOT, capture_output=True).returncode
            == 0
        )

    def wait(self, service: str, ready: Callable[[], bool]) -> None:
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            code = self.running[service].poll()
            assert code is None, f"{service} ended with {code}:\n{self.log(service)}"
            if ready():
                return
            time.sleep(0.3)
        pytest.fail(f"{service} did not become healthy:\n{self.log(service)}")

    def stop(self) -> None:
        """As `docker compose stop`: a SIGTERM each, in reverse order; whoever is left is killed."""
        children = [child for p in self.running.values() if p.poll() is None for child in children_of(p.pid)]
        stop_processes(reversed(self.running.values()))
        for child in children:
            if child.is_running():
                child.kill()


def children_of(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def stack(postgres_server: str, broker_url: str, tmp_path_factory) -> Iterator[Stack]:
    import psycopg

    plain = postgres_server.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("create database compose")
    folder = tmp_path_factory.mktemp("compose")
    for name in ("data/home", "data/storage", "data/work", "datasets", "tmp"):
        (folder / name).mkdir(parents=True)
    stack = Stack(
        folder, postgres_server.replace("/postgres?", "/compose?"), broker_url.removesuffix("/0") + "/7"
    )
    with ExitStack() as logs:
        logs.callback(stack.stop)

        def start(service: str) -> None:
            stack.start(service, logs.enter_context((folder / f"{service}.log").open("wb")))

        start("migrate")
        assert stack.running["migrate"].wait(60) == 0, stack.log("migrate")
        # All that wait for the migration only, then the pages, which wait for a healthy API.
        for service in ("api", "dispatch", "worker-cpu", "worker-predict"):
            start(service)
        stack.wait("api", lambda: stack.healthy("api"))
        start("ui")
        yield stack
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("drop database compose with (force)")


def test_every_service_with_a_health_check_becomes_healthy(stack: Stack) -> None:
    for service in ("api", "ui", "worker-cpu", "worker-predict"):
        stack.wait(service, lambda service=service: stack.healthy(service))


def test_the_api_answers_and_its_documents_are_complete(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.api_port}"
    assert httpx.get(f"{address}/api/v1/health").status_code == 200
    assert httpx.get(f"{address}/api/v1/runs").status_code == 401  # no account yet, and none by default


def test_the_dispatcher_stays_up(stack: Stack) -> None:
    assert stack.running["dispatch"].poll() is None, stack.log("dispatch")


def test_no_service_listens_beyond_this_machine(stack: Stack) -> None:
    for name, process in stack.running.items():
        if process.poll() is None:
            for one in [psutil.Process(process.pid), *children_of(process.pid)]:
                open_ports = [c.laddr for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN]
                assert all(address.ip == "127.0.0.1" for address in open_ports), f"{name}: {open_ports}"


def test_the_command_makes_the_first_admin_and_he_can_log_in(stack: Stack) -> None:
    command = stack.command(["vise", "admin", "create", "--email", "admin@example.org"])
    environment = stack.environment("api") | {"VISE_ADMIN_PASSWORD": "correct horse battery staple"}
    made = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    answer = httpx.post(
        f"http://127.0.0.1:{stack.api_port}/api/v1/auth/login",
        json={"email": "admin@example.org", "password": "correct horse battery staple"},
    )
    assert answer.status_code == 200, answer.text
