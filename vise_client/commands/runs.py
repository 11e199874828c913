"""``vise runs``, ``show``, ``logs``, ``cancel``, ``retry``: the server's runs."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import numbers, say, show_table

RunId = Annotated[str, typer.Argument(help="Id of a run, as vise runs lists it.")]


def runs(
    state: Annotated[
        list[str] | None, typer.Option(help="Only runs in this state, such as failed. Repeatable.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Only runs of this stage, such as pretrain.")] = None,
    search: Annotated[str | None, typer.Option(help="Part of the name, or a tag.")] = None,
    query: Annotated[
        str | None, typer.Option(help="Such as: stage = pretrain and spec.base_lr < 0.01 and not archived.")
    ] = None,
    sort: Annotated[str, typer.Option(help="Such as -created, name or -metric.val_accuracy.")] = "-created",
    everything: Annotated[
        bool, typer.Option("--all", help="Include the child runs of recipes and sweeps.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many runs to list.")] = 30,
) -> None:
    """List runs, newest first."""
    from vise_client.login import connect

    with connect() as vise:
        page = vise.runs(
            state=state, stage=stage, search=search, query=query or "", sort=sort, all=everything, limit=limit
        )
    rows = [
        (
            str(run.id),
            run.name,
            run.stage or run.kind,
            run.status.label,
            f"{run.started_at:%Y-%m-%d %H:%M}" if run.started_at else "",
            numbers(run.headline),
        )
        for run in page.items
    ]
    show_table(("id", "name", "stage", "state", "started", "results"), rows)


def show(run_id: RunId) -> None:
    """Show a run with its spec, inputs, results and artifacts, as YAML."""
    import yaml

    from vise_client.login import connect

    with connect() as vise:
        say(yaml.safe_dump(vise.run(run_id).model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def logs(
    run_id: RunId,
    follow: Annotated[bool, typer.Option("--follow", help="Print new lines until the run is over.")] = False,
) -> None:
    """Print the log of a run."""
    import time

    from vise_client.login import connect

    last = 0
    with connect() as vise:
        while True:
            lines = vise.logs(run_id, after=last)
            for line in lines:
                say(f"{line.at:%H:%M:%S} {line.level:7} {line.message}")
                last = line.id
            if not lines and (not follow or vise.run(run_id).state.final):
                return
            if not lines:
                time.sleep(1)


def cancel(run_id: RunId) -> None:
    """Cancel a run; a running one first saves its state."""
    from vise_client.login import connect

    with connect() as vise:
        say(vise.cancel(run_id).state)


def retry(run_id: RunId) -> None:
    """Queue a failed or cancelled run again; it continues from its last checkpoint."""
    from vise_client.login import connect

    with connect() as vise:
        say(vise.retry(run_id).state)
