"""Deletions: what depends on a thing is listed, then the command asks. ``vise delete`` deletes a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vise_core.escaping import terminal_escape

from .output import say, show_table
from .runs import RunId

if TYPE_CHECKING:
    from vise_client.schemas.derived import Derived

Yes = Annotated[bool, typer.Option("--yes", help="Delete without a question.")]
NAMED = 20
"""Things that are listed by name; all are counted."""


def delete(run_id: RunId, yes: Yes = False) -> None:
    """List what depends on a run, ask, and delete it with its artifacts, metrics and log."""
    from vise_client.login import connect

    with connect() as vise:
        run = vise.run(run_id)
        confirm(f"Delete the run {run.name}?", vise.run_derived(run.id, limit=NAMED), yes=yes)
        vise.delete_run(run.id)
    say(f"deleted {run.name}")


def confirm(question: str, derived: Derived, *, yes: bool) -> None:
    """Print what depends on a thing and ask, unless ``yes``.

    Raises Exit (0) for a no; ClientError without an answer, or if something blocks the deletion.
    """
    from vise_client.errors import ClientError

    for count in derived.counts:
        size = f", {count.bytes:,} bytes" if count.bytes else ""
        say(f"{count.effect.words:12}  {count.label}{size}")
    if derived.items:
        rows = [
            (item.kind, item.name, item.owner or "", str(item.id or ""), item.effect.words)
            for item in derived.items[:NAMED]
        ]
        show_table(("kind", "name", "owner", "id", "on deletion"), rows)
    if derived.total > NAMED:
        say(f"{NAMED} of {derived.total:,} by name")
    if derived.blocked:
        raise ClientError(
            "nothing was deleted: delete the things marked “delete first”, or wait until they end"
        )
    if yes:
        return
    try:
        agreed = typer.confirm(terminal_escape(question, one_line=True))
    except typer.Abort:
        raise ClientError("nothing was deleted: answer the question with y, or add --yes") from None
    if not agreed:
        raise typer.Exit(0)
