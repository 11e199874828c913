"""The ``vise`` command. Imports happen inside the commands, so that ``vise --help`` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vise_client.commands.data import data_app, warn_of_changes
from vise_client.commands.models import models_app
from vise_client.commands.posts import ingest_peek
from vise_client.commands.recipes import recipes_app
from vise_client.commands.report import paired, report
from vise_client.commands.tasks import tasks_app

if TYPE_CHECKING:
    from vise_core.specs.explain import CamMethod

    from .schemas.launch import RecipeCreate, RunCreate, SweepCreate
    from .schemas.runs import RunView


app = typer.Typer(
    help="Learn image representations from visual engagement, and judge them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(help="API tokens for scripts.", no_args_is_help=True)
admin_app = typer.Typer(help="The first admin of a server.", no_args_is_help=True)
app.add_typer(token_app, name="token")
app.add_typer(admin_app, name="admin")
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.add_typer(tasks_app, name="tasks")
app.add_typer(recipes_app, name="recipes")
app.command()(report)
app.command("paired-test")(paired)
app.command("ingest-peek")(ingest_peek)


@app.command()
def up(
    home: Annotated[
        Path | None, typer.Option(help="Folder of all state; default: $VISE_HOME or .vise.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the pages.")] = 8501,
    api_port: Annotated[int, typer.Option(help="Port of the API.")] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the link in the browser.")] = True,
) -> None:
    """Run the whole system on this machine until Ctrl-C; nothing else needs to be installed."""
    from backend.local.up import up as run_up

    from .login import home as default_home

    run_up(home=home or default_home(), port=port, api_port=api_port, browser=browser, tell=_say)


@app.command("sample-data")
def sample_data(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    posts: Annotated[int, typer.Option(min=10, max=1_000_000)] = 6000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    evaluation_images: Annotated[int, typer.Option(min=60, max=60_000)] = 600,
    image_size: Annotated[int, typer.Option(min=32, max=512)] = 64,
) -> None:
    """Write synthetic posts (JSONL and images) and a matching six-emotion evaluation set."""
    from vise_core.posts.sample import write_sample
    from vise_core.specs.posts.sources import SampleSource

    source = SampleSource(posts=posts, evaluation_images=evaluation_images, image_size=image_size)
    write_sample(out, source, seed)
    _say(f"{posts} synthetic posts and {evaluation_images} evaluation images are in {out}")


@app.command()
def run(
    name: Annotated[
        str,
        typer.Argument(
            help="A stage (ingest, cluster, …), a recipe (sample), or a YAML file with a recipe, a sweep or one run."
        ),
    ],
    spec: Annotated[Path | None, typer.Option(help="YAML or JSON file; without: the defaults.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="A change to the spec: a.b=value.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input", help="role=RUN, role=RUN:artifact, role=dataset:ID or NAME; locally role=PATH."
        ),
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="In this process, with no server.")] = False,
    out: Annotated[Path, typer.Option(help="Where a local run writes.")] = Path("vise-out"),
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="With --local: remove the run that the out folder holds, and start over."
        ),
    ] = False,
    title: Annotated[str, typer.Option("--name", help="Name of the run.")] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Stay until it is over.")] = False,
) -> None:
    """Run a stage, a recipe or a sweep."""
    from vise_client.commands.run_files import parse_inputs, read_request

    request = read_request(name, spec, changes or [])
    if local:
        _run_locally(request, dict(_pair(item) for item in inputs or []), out, fresh=fresh)
        return
    if fresh:
        raise typer.BadParameter("only a local run has a folder to start over in", param_hint="--fresh")
    from vise_client.commands.data import find

    from .login import connect
    from .schemas.launch import RecipeCreate, RunCreate

    with connect() as vise:
        given = parse_inputs(inputs or [], lambda wanted: find(vise, wanted).id)
        warn_of_changes(vise, given)
        if isinstance(request, RecipeCreate):
            made = vise.create_recipe(request.model_copy(update={"name": title, "inputs": given}))
        elif isinstance(request, RunCreate):
            changed = {"name": title or request.name, "inputs": request.inputs | given}
            made = vise.create_run(request.model_copy(update=changed))
        else:
            whole = request.spec.model_copy(update={"inputs": request.spec.inputs | given})
            made = vise.create_sweep(request.model_copy(update={"name": title, "spec": whole}))
        _say(f"{made.id}  {made.name}  {made.state}")
        if follow:
            last = vise.wait_for(made.id, on_update=_Follow())
            _say(f"{last.state}  {last.reason or ''}  {_numbers(last.headline)}")
            raise typer.Exit(0 if last.state == "succeeded" else 1)


@app.command()
def runs(
    state: Annotated[list[str] | None, typer.Option()] = None,
    stage: Annotated[str | None, typer.Option()] = None,
    search: Annotated[str | None, typer.Option()] = None,
    query: Annotated[
        str | None, typer.Option(help="Such as: stage = pretrain and spec.base_lr < 0.01 and not archived.")
    ] = None,
    sort: Annotated[str, typer.Option(help="Such as -created, name or -metric.val_accuracy.")] = "-created",
    everything: Annotated[bool, typer.Option("--all", help="Also the runs of recipes and sweeps.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 30,
) -> None:
    """List runs, newest first."""
    from rich.table import Table

    from .login import connect

    with connect() as vise:
        page = vise.runs(
            state=state, stage=stage, search=search, query=query or "", sort=sort, all=everything, limit=limit
        )
    table = Table("id", "name", "stage", "state", "started", "results", box=None)
    for item in page.items:
        started = f"{item.started_at:%Y-%m-%d %H:%M}" if item.started_at else ""
        table.add_row(
            str(item.id),
            item.name,
            item.stage or item.kind,
            item.status.label,
            started,
            _numbers(item.headline),
        )
    _console().print(table)


@app.command()
def show(run_id: str) -> None:
    """One run, whole, as YAML."""
    import yaml

    from .login import connect

    with connect() as vise:
        _say(yaml.safe_dump(vise.run(run_id).model_dump(mode="json"), sort_keys=False, allow_unicode=True))


@app.command()
def logs(run_id: str, follow: Annotated[bool, typer.Option("--follow")] = False) -> None:
    """The log of a run."""
    import time

    from .login import connect

    last = 0
    with connect() as vise:
        while True:
            lines = vise.logs(run_id, after=last)
            for line in lines:
                _say(f"{line.at:%H:%M:%S} {line.level:7} {line.message}")
                last = line.id
            if not lines and (not follow or vise.run(run_id).state.final):
                return
            if not lines:
                time.sleep(1)


@app.command()
def cancel(run_id: str) -> None:
    """Ask a run to save its state and end."""
    from .login import connect

    with connect() as vise:
        _say(vise.cancel(run_id).state)


@app.command()
def retry(run_id: str) -> None:
    """Take a failed or cancelled run up again from its last checkpoint."""
    from .login import connect

    with connect() as vise:
        _say(vise.retry(run_id).state)


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    model: Annotated[str | None, typer.Option(help="Id of a model; without: the default one.")] = None,
    method: Annotated[str, typer.Option(help="A class activation method, such as cam or gradcampp.")] = "cam",
    overlay: Annotated[Path | None, typer.Option(help="Folder for the overlay pictures.")] = None,
    predictor: Annotated[
        Path | None,
        typer.Option(help="Folder of a predictor that `vise run evaluate --local` made; no server."),
    ] = None,
) -> None:
    """Predict the class of images, with a model of the server or a predictor in a folder."""
    if predictor is not None:
        if model is not None:
            raise typer.BadParameter("give --model or --predictor, not both", param_hint="--predictor")
        _predict_locally(images, predictor, method, overlay)
        return
    import base64
    from uuid import UUID

    from .errors import ApiError
    from .login import connect

    unread = 0
    with connect() as vise:
        for image in images:
            try:
                found = vise.predict(
                    image.read_bytes(),
                    model_id=UUID(model) if model else None,
                    method=cast("CamMethod", method),
                    overlay=overlay is not None,
                )
            except ApiError as error:
                if error.status not in (413, 415, 422):  # of this image alone
                    raise
                unread += _unread(image, error)
                continue
            _say(_ranked(image, found.probabilities))
            if overlay is not None and found.overlay_png:
                overlay.mkdir(parents=True, exist_ok=True)
                (overlay / f"{image.stem}-{found.target}.png").write_bytes(
                    base64.b64decode(found.overlay_png)
                )
    _end_predicting(unread, len(images))


@app.command()
def login(url: str, email: Annotated[str, typer.Option(prompt=True)]) -> None:
    """Sign in to a server and remember it for this user."""
    from .client import ViseClient
    from .login import stored, write_private
    from .schemas.accounts import Login

    with ViseClient(url) as vise:
        session = vise.login(Login(email=email, password=typer.prompt("Password", hide_input=True)))
    write_private(stored(), {"url": url, "token": session.token})
    _say(f"signed in as {session.user.email} ({session.user.role})")


@token_app.command("create")
def create_token(name: str, days: Annotated[int | None, typer.Option(min=1)] = None) -> None:
    """Make an API token and show it once."""
    from .login import connect
    from .schemas.accounts import TokenCreate

    with connect() as vise:
        _say(vise.create_token(TokenCreate(name=name, expires_days=days)).token)


@admin_app.command("create")
def create_admin(email: Annotated[str, typer.Option(prompt=True)]) -> None:
    """Make an admin directly in the database; the password comes from VISE_ADMIN_PASSWORD or a prompt."""
    import os

    from backend.settings import settings
    from backend.store.accounts import users
    from backend.store.database import connect, session_factory

    from .schemas.accounts import Role, UserCreate

    password = os.environ.get("VISE_ADMIN_PASSWORD") or typer.prompt(
        "Password", hide_input=True, confirmation_prompt=True
    )
    body = UserCreate(email=email, password=password, role=Role.admin)
    with session_factory(connect(settings().database_url)).begin() as db:
        users.create_user(db, body.email, body.password, body.role)
    _say(f"{body.email} is an admin now")


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    from backend.settings import settings
    from backend.store.database import migrate as run_migrations

    run_migrations(settings().database_url)


@app.command()
def worker(
    queues: Annotated[str, typer.Option(help="cpu, gpu, predict; comma-separated.")] = "cpu,gpu",
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Without: one run, or two batches of predictions, at a time.")
    ] = None,
) -> None:
    """Take up runs (or answer predictions) until told to stop."""
    wanted = [] if concurrency is None else ["--concurrency", str(concurrency)]
    _become("-m", "worker", "run", "--queues", queues, *wanted)


@app.command()
def dispatch() -> None:
    """Announce queued runs to the workers, and take back those whose worker was lost."""
    _become("-m", "worker", "dispatch")


@app.command()
def ui(host: str = "127.0.0.1", port: int = 8501) -> None:
    """Serve the pages."""
    _become("-m", "frontend.serve", "--host", host, "--port", str(port))


def main() -> None:
    """Entry point: errors that are meant for people are one sentence, with exit code 1."""
    from vise_core.errors import ViseError

    from .errors import ClientError

    try:
        app()
    except (ViseError, ClientError) as error:
        sys.exit(f"vise: {error}")
    except ValueError as error:
        from pydantic import ValidationError  # `vise --help` does not wait for it

        if not isinstance(error, ValidationError):
            raise
        for item in error.errors():
            sys.stderr.write(f"vise: {'.'.join(str(p) for p in item['loc'])}: {item['msg']}\n")
        sys.exit(1)


def _run_locally(
    request: RunCreate | RecipeCreate | SweepCreate, inputs: dict[str, str], out: Path, *, fresh: bool
) -> None:
    from vise_client.commands.run_files import local_inputs
    from vise_client.local.run import run_locally, run_recipe_locally
    from vise_core.errors import BadInput
    from vise_core.specs.recipes.registry import RECIPES

    from .schemas.launch import RecipeCreate, RunCreate

    paths = local_inputs(inputs)
    if isinstance(request, RecipeCreate):
        run_recipe_locally(request.spec or RECIPES[str(request.recipe)], paths, out, _console(), fresh=fresh)
        return
    if not isinstance(request, RunCreate):
        raise BadInput("a sweep needs a server: start one with vise up, and leave out --local")
    result, artifacts = run_locally(request.stage, request.spec, paths, out, _console(), fresh=fresh)
    for artifact, path in artifacts.items():
        _say(f"{artifact}: {path}")
    _say(_numbers(result.headline()))


def _predict_locally(images: list[Path], predictor: Path, method: str, overlay: Path | None) -> None:
    from vise_core.errors import BadImage
    from vise_core.predict import Predictor
    from vise_core.specs.models.predict import PredictOptions

    loaded = Predictor.load(predictor)
    options = PredictOptions.model_validate({"method": method})
    unread = 0
    for image in images:
        try:
            found = loaded.predict(image, options)
        except BadImage as error:
            unread += _unread(image, error)
            continue
        _say(_ranked(image, found.probabilities))
        if overlay is not None:
            overlay.mkdir(parents=True, exist_ok=True)
            found.overlay.save(overlay / f"{image.stem}-{found.target}.png")
    _end_predicting(unread, len(images))


def _unread(image: Path, reason: object) -> int:
    """Report an image that has no prediction, the others go on; returns 1, to count it."""
    typer.echo(f"{image}: no prediction: {reason}", err=True)
    return 1


def _end_predicting(unread: int, images: int) -> None:
    if unread:
        typer.echo(f"{unread} of {images} images have no prediction", err=True)
        raise typer.Exit(1)


def _ranked(image: Path, probabilities: dict[str, float]) -> str:
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    return f"{image}: " + ", ".join(f"{name} {value:.1%}" for name, value in ranked)


def _become(*arguments: str) -> None:
    """Turn into that process: one fewer to watch, and signals reach it."""
    import os

    os.execv(sys.executable, [sys.executable, *arguments])


def _pair(item: str) -> tuple[str, str]:
    role, separator, value = item.partition("=")
    if not separator:
        raise typer.BadParameter(f"{item!r}: write role=value", param_hint="--input")
    return role, value


def _numbers(values: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in values.items())


def _say(text: str) -> None:
    typer.echo(text)


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200)


class _Follow:
    """Prints what changed since the last look."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def __call__(self, run: RunView) -> None:
        for item in run.children or [run]:
            line = f"{item.name}: {item.state}" + (f" ({item.reason})" if item.reason else "")
            if self._seen.get(str(item.id)) != line:
                self._seen[str(item.id)] = line
                _say(f"{line} {_numbers(item.headline)}")
