"""Every process ends within 10 s of SIGTERM, also while both servers are frozen."""

import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from uuid import UUID

import httpx
from celery import Celery

from backend.local.processes import free_port
from backend.store.accounts import users
from tests.faults.cluster import Cluster
from tests.serving import api_command
from vise_client.schemas.accounts import Role
from vise_client.schemas.run_states import RunState

SECONDS = 10.0
NOBODY = UUID(int=0)


def start(cluster: Cluster, name: str, command: list[str], addresses: dict[str, str]) -> subprocess.Popen:
    with (cluster.folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command], env=cluster.environment | addresses, stdout=log, stderr=log
        )
    cluster.processes.append(process)
    return process


def wait_for(address: str) -> None:
    until = time.monotonic() + 240
    while True:
        try:
            httpx.get(address, timeout=10).raise_for_status()
            return
        except httpx.HTTPError:
            assert time.monotonic() < until, address
            time.sleep(0.2)


def test_every_process_ends_in_time_while_both_servers_are_frozen(cluster: Cluster) -> None:
    cluster.environment |= {"VISE_PRELOAD": "false", "VISE_LEASE_SECONDS": "15"}
    with cluster.sessions.begin() as db:
        token, _ = users.issue_token(
            db, users.create_user(db, "v@example.org", None, Role.viewer), "api", lifetime=None
        )
    with ExitStack() as exits:
        names = ("dispatch", "worker", "idle", "predict", "api")
        ways = {name: exits.enter_context(cluster.proxies()) for name in names}
        for name in ("dispatch", "worker", "idle", "predict"):
            queues = {"worker": "cpu", "idle": "gpu", "predict": "predict"}.get(name)
            command = ["run", "--queues", queues] if queues else ["dispatch"]
            cluster.start(*command, name=name, **ways[name][0])
        # Last, so that no proxy gets one of them.
        api_port, ui_port = free_port(), free_port()
        api, ui = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{ui_port}"
        start(cluster, "api", api_command(api_port)[1:], ways["api"][0])
        start(cluster, "ui", ["-m", "frontend.serve", "--port", str(ui_port)], {"VISE_API_URL": api})
        wait_for(f"{api}/api/v1/health")
        wait_for(f"{ui}/_stcore/health")
        run_id = cluster.create(spec={"steps": 10_000, "pause": 0.1})
        cluster.wait(run_id, lambda run: run.state is RunState.running and run.latest.get("count", 0) >= 3)
        for _, proxies in ways.values():
            proxies.database.set("stall")
        broker = Celery(broker=cluster.environment["VISE_BROKER_URL"])
        # Threads that wait for the database: of the prediction worker, the API and the pages' server.
        for _ in range(2):
            broker.send_task("worker.predict", args=[str(NOBODY)], queue="predict")
        headers = {"Authorization": f"Bearer {token}"}
        for address in (f"{api}/api/v1/runs", f"{ui}/download/models/{NOBODY}"):
            threading.Thread(target=ask, args=(address, headers), daemon=True).start()
        time.sleep(1)
        for _, proxies in ways.values():
            proxies.broker.set("stall")
        time.sleep(1)
        began = time.monotonic()
        for process in cluster.processes:
            process.terminate()
        took = {}
        for name, process in zip(
            ("dispatch", "worker", "idle", "predict", "api", "ui"), cluster.processes, strict=True
        ):
            process.wait(60)
            took[name] = round(time.monotonic() - began, 1)
        assert all(seconds < SECONDS for seconds in took.values()), took


def ask(address: str, headers: dict[str, str]) -> None:
    with suppress(httpx.HTTPError):
        httpx.get(address, headers=headers, timeout=60)
