"""PostgreSQL is killed while predictions have been accepted and claimed: each is answered, and none fails because of it."""

import os
import signal
import time
from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image

from backend.api.app import PREFIX, create_app
from backend.local.servers import start_postgres
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import migrate
from tests.faults.cluster import cluster_over
from tests.faults.model import add_model
from tests.pictures import encoded
from vise_client.schemas.accounts import Role


def test_accepted_predictions_outlive_postgresql(
    servers_folder: Path, broker_url: str, tmp_path: Path
) -> None:
    folder = servers_folder / "killed"
    # As `vise up` starts it: what is committed is on the disk.
    server = start_postgres(folder)
    migrate(server.url)
    with cluster_over(server.url, broker_url, tmp_path) as cluster:
        add_model(cluster, tmp_path)
        with cluster.sessions.begin() as db:
            editor = users.create_user(db, "editor@example.org", None, Role.editor)
            token, _ = users.issue_token(db, editor, "api", lifetime=None)
        settings = Settings(
            database_url=server.url, broker_url=broker_url, storage_url=cluster.storage.url, home=tmp_path
        )
        headers = {"Authorization": f"Bearer {token}"}
        cluster.start("dispatch", name="dispatch")
        cluster.start("run", "--queues", "predict", name="predict")
        with TestClient(create_app(settings), headers=headers, raise_server_exceptions=False) as api:
            accepted: list[str] = []

            def ask(wait: float) -> int:
                colour = (len(accepted), 90, 200)
                picture = encoded(Image.new("RGB", (90, 60), colour), "PNG")
                files, form = {"image": ("x", picture)}, {"wait": str(wait)}
                response = api.post(f"{PREFIX}/predictions", files=files, data=form)
                assert response.status_code in (200, 202, 503), response.text
                if response.is_success:
                    accepted.append(response.json()["id"])
                return response.status_code

            until = time.monotonic() + 120
            while ask(5) != 200:
                assert time.monotonic() < until
            for _ in range(3):
                for _ in range(20):
                    ask(0)
                # Now some are queued, some are claimed and some are being written.
                os.kill(server.pid, signal.SIGKILL)
                ask(0)
                server.stop()
                server = start_postgres(folder)
            states: dict[str, str] = {}
            until = time.monotonic() + 60
            while set(states.values()) != {"succeeded"}:
                assert time.monotonic() < until, states
                time.sleep(0.3)
                states = {id_: api.get(f"{PREFIX}/predictions/{id_}").json()["state"] for id_ in accepted}
                assert "failed" not in states.values()
            assert len(states) == len(accepted) >= 61
    server.stop()
