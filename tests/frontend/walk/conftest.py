"""Every page as a browser would draw it, over a real API whose database real tiny runs have filled."""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from backend.api.app import PREFIX, create_app
from backend.settings import Settings
from backend.store.accounts import users
from backend.store.database import Sessions, connect, session_factory
from backend.store.runs.create import create_recipe
from frontend import navigation
from frontend.settings import session_cookie
from tests.pictures import encoded
from tests.serving import serving
from tests.vise_client.commands.test_report import smaller
from vise_client.client import ViseClient
from vise_client.schemas.ablations import AblationCreate
from vise_client.schemas.accounts import Role
from vise_client.schemas.launch import RecipeCreate
from vise_client.schemas.run_lists import RunListState, SavedViewCreate
from vise_core.specs.recipes.registry import RECIPES

APP = Path(navigation.__file__).with_name("app.py")
SECONDS = 60
READS = ("/runs/compare", "/metrics/query", "/validate")
"""Ends of the paths of POST operations that change nothing."""


@dataclass
class Recorder:
    """ASGI middleware that records each request that may change something."""

    app: ASGIApp
    writes: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            path = scope["path"].removeprefix(PREFIX)
            if not path.endswith(READS):
                self.writes.append(f"{scope['method']} {path}")
        await self.app(scope, receive, send)


@dataclass
class Site:
    """The filled server: its database, what was written to it, and an admin's client."""

    sessions: Sessions
    recorder: Recorder
    vise: ViseClient
    url: str
    token: str

    def writes(self) -> list[str]:
        """Return the writes since the last call."""
        written, self.recorder.writes[:] = list(self.recorder.writes), []
        return written


@pytest.fixture(scope="package")
def walk_database(
    new_database: Callable[..., AbstractContextManager[str]], migrated_template: str
) -> Iterator[str]:
    with new_database(migrated_template) as url:
        yield url


@pytest.fixture(scope="package")
def site(
    walk_database: str, broker_url: str, work_off, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("walk")
    settings = Settings(
        database_url=walk_database,
        broker_url=broker_url,
        storage_url=f"file://{home / 'storage'}",
        home=home,
    )
    engine = connect(walk_database)
    sessions = session_factory(engine)
    with sessions.begin() as db:
        user = users.create_user(db, "admin@example.org", "correct horse battery", Role.admin)
        token, _ = users.issue_token(db, user, "session", lifetime=timedelta(hours=1))
        for role in Role:
            users.create_user(db, f"{role}@walk.example.org", None, role)
        create_recipe(db, RecipeCreate(spec=smaller(RECIPES["sample"])), user.id)
    work_off(settings)
    recorder = Recorder(create_app(settings))
    with serving(recorder) as url, ViseClient(url, token) as client:
        _fill(client)
        yield Site(sessions, recorder, client, url, token)
    engine.dispose()


def _fill(vise: ViseClient) -> None:
    """What users write, beside runs: a data set, a saved view, an ablation."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("a", "b"):
            file.writestr(
                f"{name}/{name}.png",
                encoded(Image.new("RGB", (8, 8), (name == "a" and "red") or "blue"), "PNG"),
            )
    archive.seek(0)
    vise.upload_dataset("walk", "walk.zip", archive, kind="images", description="Two images")
    vise.save_view(SavedViewCreate(name="walk", state=RunListState(), shared=True))
    baseline = next(run for run in vise.runs(stage="evaluate", all=True).items if "VisE" in run.name)
    vise.create_ablation(AblationCreate(name="walk", kind="pretext", baseline=baseline.id))


@pytest.fixture(scope="package")
def addresses(site: Site) -> list[str]:
    """Addresses at which the pages show all that they have."""
    vise = site.vise
    runs = [f"run?run={run.id}" for run in vise.runs(all=True, limit=100).items]
    evaluations = "&".join(f"run={run.id}" for run in vise.runs(stage="evaluate", all=True).items)
    return [
        *(page.address for page in navigation.PAGES.values()),
        *(f"settings?tab={tab}" for tab in ("API tokens", "Users", "Removals", "Audit log")),
        *(f"data?tab={tab}" for tab in ("Made by runs", "Add")),
        *(f"data?dataset={dataset.id}" for dataset in vise.datasets()),
        *(f"models?model={model.id}" for model in vise.models()),
        *(f"ablations?ablation={ablation.id}" for ablation in vise.ablations()),
        *(f"launch?what={stage.name}" for stage in vise.stages()),
        *(f"predict?view={view}" for view in ("History", "Labelled set")),
        *(f"clusters?kind={kind}" for kind in ("Reactions", "For an image")),
        *(f"results?show={entry.title}" for entry in vise.reports()),
        "runs?all=true",
        "runs?grouped=true&query=stage = evaluate",
        f"compare?{evaluations}",
        *runs,
    ]


@contextmanager
def signed_in(site: Site) -> Iterator[Callable[[str], AppTest]]:
    """``visit("runs?all=true")``: the page at this address as the admin's browser draws it."""
    site.writes()

    def visit(address: str) -> AppTest:
        name, _, query = address.partition("?")
        page = AppTest.from_file(str(APP), default_timeout=SECONDS)
        # What `switch_page` does, which would have to draw the page Home first.
        page._page_hash = calc_hash(name or "home")
        for part in filter(None, query.split("&")):
            key, _, value = part.partition("=")
            page.query_params[key] = [*page.query_params.get(key, []), value]
        page.run()
        assert page._finished_page_script_hash == calc_hash(name or "home"), f"{address} led to another page"
        return page

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISE_API_URL", site.url)
        patch.setattr(
            "streamlit.runtime.context.ContextProxy.cookies",
            property(lambda self: {session_cookie(): site.token}),
        )
        yield visit


@pytest.fixture
def visit(site: Site) -> Iterator[Callable[[str], AppTest]]:
    with signed_in(site) as go:
        yield go
