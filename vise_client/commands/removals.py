"""``vise forget``: remove posts for good."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from .output import say

if TYPE_CHECKING:
    from vise_client.client import ViseClient
    from vise_client.schemas.removals import RemovalView

POLL_SECONDS = 0.5
CACHE_SECONDS = 30.0
"""How long the command waits until all workers have cleared their caches."""


def forget(
    posts: Annotated[list[str], typer.Argument(help="Ids of the posts, as in their source.")],
    apply: Annotated[bool, typer.Option("--apply", help="Remove them. Without: only list.")] = False,
) -> None:
    """List what holds posts and what was derived from them; remove them for good with --apply, and prove it.

    Needs an admin, and a worker, which does it; the command may be interrupted. Exits with 3 if anything still holds a
    post, or may.
    """
    from vise_client.login import connect
    from vise_client.schemas.removals import RemovalCreate

    with connect() as vise:
        removal = _follow(vise, vise.create_removal(RemovalCreate(posts=posts)))
        for finding in removal.findings:
            say(f"{finding.action:8}  {finding.what}")
        if not apply:
            vise.delete_removal(removal.id)
            say("nothing was changed; `vise forget … --apply` removes the posts")
            return
        removal = _follow(vise, vise.apply_removal(removal.id))
        deadline = time.monotonic() + CACHE_SECONDS
        while removal.caches_waiting and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            removal = vise.removal(removal.id)
    for what in removal.left:
        say(f"not removed: {what}", err=True)
    for worker in removal.caches_waiting:
        say(f"has not cleared its caches yet: the worker {worker}", err=True)
    if removal.left or removal.caches_waiting:
        raise typer.Exit(3)
    say("no object, row, folder or cache holds the posts")


def _follow(vise: ViseClient, removal: RemovalView) -> RemovalView:
    """Wait until the worker is done, and say what it does. Raises ClientError where it failed."""
    from vise_client.errors import ClientError

    last_progress = ""
    while removal.state.working:
        if removal.progress not in ("", last_progress):
            last_progress = removal.progress
            say(last_progress, err=True)
        time.sleep(POLL_SECONDS)
        removal = vise.removal(removal.id)
    if removal.error:
        raise ClientError(removal.error)
    return removal
