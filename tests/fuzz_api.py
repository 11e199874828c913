"""Schemathesis against a running API, as each role: ``python -m tests.fuzz_api`` or ``make fuzz-api``.

Not a part of the suite, as it takes minutes. Fails on a status of 5xx, on a status or a content type that the OpenAPI
document does not name, on a response that is not of the documented form, and on an undocumented method that is not 405.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from backend.api.app import PREFIX
from backend.local.processes import free_port
from backend.local.servers import start_postgres, start_valkey
from backend.store.accounts import users
from backend.store.database import connect, migrate, session_factory
from tests.serving import api_command
from vise_client.schemas.accounts import Role

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
ENDING = ("/auth/logout", "/auth/password")
"""They end the session that a request is sent with: each request has a session of its own."""
WITHOUT_WORKERS = ("/ready", "/health")
"""Their status is 503 while there is no worker, as here."""
SESSIONS = 300


@contextmanager
def running_api(home: Path) -> Iterator[tuple[str, dict[Role, list[str]]]]:
    """Start the API on an empty database; yield its address and tokens of ``SESSIONS`` sessions for each role."""
    postgres, valkey = start_postgres(home / "postgres"), start_valkey(home / "valkey")
    migrate(postgres.url)
    engine, tokens = connect(postgres.url), dict[Role, list[str]]()
    with session_factory(engine).begin() as db:
        for role in Role:
            user = users.create_user(db, f"{role}@example.org", "correct horse battery", role)
            lifetime = timedelta(days=1)
            tokens[role] = [
                users.issue_token(db, user, "session", lifetime=lifetime)[0] for _ in range(SESSIONS)
            ]
    engine.dispose()
    (home / "data" / "folder").mkdir(parents=True)
    environment = {
        "VISE_DATABASE_URL": postgres.url,
        "VISE_BROKER_URL": valkey.url,
        "VISE_STORAGE_URL": f"file://{home / 'storage'}",
        "VISE_HOME": str(home),
        "VISE_DATA_ROOT": str(home / "data"),
    }
    port = free_port()
    with (home / "api.log").open("wb") as log:
        api = subprocess.Popen(
            [*api_command(port), "--no-access-log"], env=os.environ | environment, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}{PREFIX}"
        with httpx.HTTPTransport(retries=8) as transport, httpx.Client(transport=transport) as client:
            client.get(f"{url}/live").raise_for_status()
        yield url, tokens
    finally:
        api.terminate()
        api.wait(30)
        valkey.stop()
        postgres.stop()
        print((home / "api.log").read_text(errors="replace")[-20_000:])


def run(command: list[str], home: Path, tokens: Path | None = None) -> tuple[int, int]:
    """Run Schemathesis; return the number of its cases and its exit code. ``tokens``: of sessions, one a request."""
    environment = dict(os.environ)
    if tokens is not None:
        environment |= {
            "SCHEMATHESIS_HOOKS": "tests.fuzz_sessions",
            "VISE_FUZZ_TOKENS": str(tokens),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
    with subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        cases = 0
        for line in process.stdout:
            print(line, end="", flush=True)
            if found := re.search(r"([\d,]+) generated", line):
                cases = int(found[1].replace(",", ""))
    return cases, process.returncode


def main() -> int:
    """Run each role; return the number of roles with failures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--roles", nargs="*", default=list(Role), type=Role)
    arguments.add_argument("--examples", type=int, default=16, help="most random cases of an operation")
    arguments.add_argument("--least", type=int, default=5000, help="fewer cases of a role are a failure")
    arguments.add_argument("--seed", default="0")
    arguments.add_argument("--schemathesis", default=str(Path(sys.executable).with_name("schemathesis")))
    chosen = arguments.parse_args()
    home, failed = Path(tempfile.mkdtemp(prefix="vise-fuzz-")), 0
    try:
        with running_api(home) as (url, tokens):
            for role in chosen.roles:
                command = [
                    *(chosen.schemathesis, "run", f"{url}/openapi.json"),
                    *("--phases", "examples,coverage,fuzzing", "--max-examples", str(chosen.examples)),
                    *("--workers", "2", "--no-shrink", "--continue-on-failure", "--no-color"),
                    *("--seed", chosen.seed),
                ]
                checks = ["--checks", ",".join(CHECKS)]
                header = ["--header", f"Authorization: Bearer {tokens[role][0]}"]
                print(f"--- as {role}", flush=True)
                special = [*ENDING, *WITHOUT_WORKERS]
                left_out = [part for path in special for part in ("--exclude-path", PREFIX + path)]
                cases, code = run([*command, *checks, *header, *left_out], home)
                if cases < chosen.least:
                    print(f"{cases:,} cases are fewer than {chosen.least:,}: raise --examples", flush=True)
                (home / "tokens").write_text("\n".join(tokens[role][1:]))
                ending = [part for path in ENDING for part in ("--include-path", PREFIX + path)]
                _, of_ending = run([*command, *checks, *ending], home, home / "tokens")
                health = [part for path in WITHOUT_WORKERS for part in ("--include-path", PREFIX + path)]
                of_status = ["--checks", ",".join(CHECKS[1:])]
                _, of_health = run([*command, *of_status, *header, *health], home)
                failed += bool(code or of_ending or of_health or cases < chosen.least)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
