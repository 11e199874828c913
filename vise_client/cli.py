"""The ``vise`` command: its subcommands, and the exit codes of errors."""

from __future__ import annotations

import sys

from vise_core.escaping import terminal_escape

from .commands.account import login, login_link, token_app
from .commands.app import command_group
from .commands.data import data_app
from .commands.deletion import delete
from .commands.models import models_app
from .commands.output import say
from .commands.plugins import PluginGroup
from .commands.posts import ingest_peek, sample_data
from .commands.predict import predict
from .commands.recipes import recipes_app
from .commands.removals import forget
from .commands.report import paired_test, report
from .commands.run import run
from .commands.runs import cancel, logs, retry, runs, show
from .commands.tasks import tasks_app

app = command_group(
    cls=PluginGroup,
    help="Learn image representations from visual engagement, and evaluate them on subjective vision tasks.",
    no_args_is_help=True,
)
for command in (run, runs, show, logs, cancel, retry, delete):
    app.command()(command)
app.add_typer(data_app, name="data")
app.add_typer(recipes_app, name="recipes")
app.add_typer(models_app, name="models")
app.command()(predict)
app.command()(report)
app.command("paired-test")(paired_test)
app.command()(forget)
app.add_typer(tasks_app, name="tasks")
app.command("ingest-peek")(ingest_peek)
app.command("sample-data")(sample_data)
app.command()(login)
app.command("login-link")(login_link)
app.add_typer(token_app, name="token")


def main() -> None:
    """Run the command. Known errors print one sentence and exit with 1, or with 2 for an extra that is not installed."""
    from vise_core.errors import ViseError

    from .errors import ClientError, MissingExtra

    try:
        app()
    except MissingExtra as error:
        say(f"vise: {error}", err=True)
        sys.exit(2)
    except (ViseError, ClientError) as error:
        sys.exit(terminal_escape(f"vise: {error}"))
    except ValueError as error:
        from pydantic import ValidationError  # a slow import that `vise --help` can do without

        if not isinstance(error, ValidationError):
            raise
        for item in error.errors():
            say(f"vise: {'.'.join(str(p) for p in item['loc'])}: {item['msg']}", err=True)
        sys.exit(1)
