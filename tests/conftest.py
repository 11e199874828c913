"""The real servers that tests run against, started once a session and stopped at its end."""

import asyncio
import gc
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url, select

from backend.local.processes import free_port
from backend.local.servers import start_postgres, start_valkey
from backend.store.database import migrate, plain_url
from backend.store.runs.states.finish import finish_run
from backend.store.runs.states.lease import claim_run

# Tests share the cores with tests of other processes, before which runs need not stand back as on a server. The
# processes that tests start inherit it.
os.environ.setdefault("VISE_RUN_NICENESS", "1")

MAIN = sys.modules["__main__"]
STACK_FIXTURES = {"postgres_server", "broker_url", "start_stack", "bucket"}
LONG = {"stack", "processes", "slow"}
BROWSER_TESTS = Path(__file__).parent / "browser"
PROCESS_MODULES = {
    "subprocess",
    "multiprocessing",
    "torch.multiprocessing",
    "backend.local.postgres",
    "backend.local.valkey",
    "tests.commands",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it uses: ``stack``, ``browser``, ``processes``. `make test-fast` leaves these out."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if STACK_FIXTURES & fixtures:
            item.add_marker("stack")
        if "chromium_path" in fixtures:
            item.add_marker("browser")
        if isinstance(item, pytest.Function) and _starts_processes(item):
            item.add_marker("processes")
    # Processes take the files in this order: a long file begun last would keep one busy while the others wait.
    long = Counter(item.path for item in items if LONG & {marker.name for marker in item.iter_markers()})
    items.sort(key=lambda item: (item.path.parent != BROWSER_TESTS, -long[item.path]))


def pytest_collection_finish() -> None:
    """Spare the collector the 800,000 objects of imported modules and tests: they stay until the end.

    To look through them takes 0.4 s each time.
    """
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With ``--dist loadfile`` a process runs whole files; all browser tests, which share a stack, count as one."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneStackForTheBrowser(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)

    return OneStackForTheBrowser(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run each test outside Playwright's event loop.

    Once browser tests have begun in a process, that loop counts as running until the session ends, also in tests that
    have no browser, and ``asyncio.run`` refuses to start another.
    """
    loop = asyncio.events._get_running_loop()
    if loop is None or item.get_closest_marker("browser"):
        return (yield)
    asyncio.events._set_running_loop(None)
    try:
        return (yield)
    finally:
        asyncio.events._set_running_loop(loop)


def _starts_processes(item: pytest.Function) -> bool:
    """Whether the test, a fixture of it or a function of their modules names a module that starts processes."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(definition.func for found in fixtures for definition in found)]
    return any(_reaches_processes(inspect.unwrap(function)) for function in functions)


@cache
def _reaches_processes(function: Callable[..., object]) -> bool:
    functions, seen = [function], set()
    while functions:
        code, names = (function := functions.pop()).__code__, function.__globals__
        seen.add(function)
        codes = [code, *(constant for constant in code.co_consts if isinstance(constant, CodeType))]
        for value in (names.get(name) for code in codes for name in code.co_names):
            module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if module in PROCESS_MODULES:
                return True
            if isinstance(value, FunctionType) and value.__globals__ is names and value not in seen:
                functions.append(value)
    return False


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Streamlit's AppTest puts its script in the place of ``__main__``, which later tests start processes from.

    Fixtures of a module or a session do so before this one is set up: what is put back is what was there at the start.
    """
    yield
    sys.modules["__main__"] = MAIN


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Not pytest's own temporary folder: pytest closes that to other accounts, and as root PostgreSQL runs as one."""
    folder = Path(tempfile.mkdtemp(prefix="vise-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(servers_folder: Path) -> Iterator[str]:
    """SQLAlchemy URL of an embedded PostgreSQL's database `postgres`."""
    # Nothing here outlives the session, so nothing has to reach the disk.
    settings = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    server = start_postgres(servers_folder / "postgres", database="postgres", settings=settings)
    yield server.url
    server.stop()


@contextmanager
def _database(postgres_server: str, template: str = "template1") -> Iterator[str]:
    """SQLAlchemy URL of a new database with the content of the database ``template``, dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    plain = plain_url(postgres_server)
    with psycopg.connect(plain, autocommit=True) as connection:
        # A connection to the template, left open by a pool, would refuse the copy.
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [template]
        )
        copy = sql.SQL("create database {} template {} strategy file_copy")
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
    yield postgres_server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Callable[..., AbstractContextManager[str]]:
    """``new_database(template)``: a context with the URL of a copy of the database of that name, or an empty one."""
    return partial(_database, postgres_server)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> Iterator[str]:
    """Name of a database with our tables and no rows. Copies cost a quarter of what migrating anew does."""
    with _database(postgres_server) as url:
        migrate(url)
        yield str(make_url(url).database)


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """SQLAlchemy URL of a database without tables, dropped after the test."""
    with _database(postgres_server) as url:
        yield url


@pytest.fixture
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """SQLAlchemy URL of a database with our tables and no rows, dropped after the test."""
    with _database(postgres_server, migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """The same for all tests of a module."""
    with _database(postgres_server, migrated_template) as url:
        yield url


@pytest.fixture(scope="session")
def broker_url(servers_folder: Path) -> Iterator[str]:
    """URL of an embedded Valkey, with its password."""
    server = start_valkey(servers_folder / "valkey")
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium that browser tests drive. `make test` installs it; its absence fails, it does not skip."""
    named = os.environ.get("VISE_CHROMIUM")
    found = named if named else shutil.which("chromium") or shutil.which("chromium-browser")
    if not found or not Path(found).exists():
        pytest.fail(
            f"no Chromium at {found or 'chromium'}: install it (make test says how) or set VISE_CHROMIUM"
        )
    return found


@dataclass(frozen=True)
class Stack:
    """A running ``vise up``: its page, the one-time link into it, and where its state lies."""

    url: str
    link: str
    home: Path


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home for ``vise up``, outside pytest's own folder for the same reason."""
    folder = Path(tempfile.mkdtemp(prefix="vise-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def start_stack() -> Callable[[Path], AbstractContextManager[Stack]]:
    """The whole product as a user starts it, on free ports; stopped with Ctrl-C's signal."""

    @contextmanager
    def start(home: Path) -> Iterator[Stack]:
        port = free_port()
        command = [str(Path(sys.executable).with_name("vise")), "up", "--no-browser", "--home", str(home)]
        home.mkdir(parents=True, exist_ok=True)
        with (home / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--port", str(port), "--api-port", str(free_port())], stdout=log, stderr=log
            )
        try:
            until = time.monotonic() + 120
            while not (found := re.search(r"http\S+/auth/login\?code=\S+", (home / "up.log").read_text())):
                assert process.poll() is None, (home / "up.log").read_text()
                assert time.monotonic() < until, (home / "up.log").read_text()
                time.sleep(0.2)
            yield Stack(f"http://127.0.0.1:{port}", found.group(0), home)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0, (home / "up.log").read_text()

    return start


@pytest.fixture(scope="session")
def work_off() -> Callable[..., list[uuid.UUID]]:
    """Runs whatever is queued in this process, in task of creation, until nothing is: ``work_off(settings)``.

    What a worker does (claim, inputs, reporter, end) without a child process a run, which costs seconds each.
    A run that fails fails the test. Returns the ids of what was run.
    """
    from backend.store.database import connect, session_factory
    from backend.store.registry.storage import Storage
    from backend.store.runs.tables import Run
    from vise_client.schemas.run_states import RunState
    from vise_core.specs.stages import validate_spec
    from vise_core.stage import run_stage
    from worker.context import Context
    from worker.inputs import prepare
    from worker.reporter import StoreReporter

    def run_all(settings) -> list[uuid.UUID]:
        engine = connect(settings.database_url)
        here = Context(settings, session_factory(engine), Storage(settings.storage_url), "test")
        done = []
        while True:
            with here.sessions() as db:
                queued = db.scalar(
                    select(Run.id).where(Run.state == "queued", Run.kind == "stage").order_by(Run.id)
                )
            if queued is None:
                break
            with here.sessions.begin() as db:
                claim = claim_run(db, queued, here.name, 3600)
            assert claim is not None
            task = prepare(here, claim, settings.workspaces / str(queued))
            reporter = StoreReporter(here, claim.run_id, claim.token)
            result = run_stage(
                task.stage,
                validate_spec(task.stage, task.spec),
                task.inputs,
                task.workspace,
                reporter,
                input_hashes=task.input_hashes,
                names=task.names,
            )
            reporter.close()
            with here.sessions.begin() as db:
                finish_run(
                    db,
                    claim.run_id,
                    claim.token,
                    RunState.succeeded,
                    result=result.model_dump(mode="json"),
                    headline=result.headline(),
                    synthetic=result.synthetic,
                )
            shutil.rmtree(task.workspace)
            done.append(queued)
        engine.dispose()
        return done

    return run_all
