"""``vise ingest-peek``: how a folder of posts would be read. Needs no server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vise_core.specs.posts.peek import Peek


def ingest_peek(
    folder: Annotated[Path, typer.Argument(help="The folder of posts, or one file of them.", exists=True)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of the source, such as kind=csv or fields.text=message."),
    ] = None,
    posts: Annotated[int, typer.Option(min=1, max=1000, help="How many posts to show.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="The whole record as JSON.")] = False,
) -> None:
    """Guess the layout of a folder of posts and where its fields stand; show the first posts as ingest would read them.

    Ends with 1 where ingest could keep none of them.
    """
    from pydantic import TypeAdapter

    from vise_core.posts.peek import guess_source, peek
    from vise_core.specs.posts.sources import PostSource

    from .run_files import read_spec

    source = None
    if changes:
        source = TypeAdapter(PostSource).validate_python(
            _merged(guess_source(folder), read_spec(None, changes))
        )
    found = peek(folder, source=source, posts=posts)
    typer.echo(found.model_dump_json(indent=1) if json else _text(found, folder))
    raise typer.Exit(0 if found.kept else 1)


def _merged(guess: dict[str, Any] | None, changes: dict[str, Any]) -> dict[str, Any]:
    """The guess with the changes; another kind starts from its own defaults."""
    if guess is None or changes.get("kind", guess["kind"]) != guess["kind"]:
        return {"kind": "jsonl", **changes}
    fields = {**guess.get("fields", {}), **changes.get("fields", {})}
    return {**guess, **changes, **({"fields": fields} if fields else {})}


def _text(found: Peek, folder: Path) -> str:
    lines = [f"layout: {found.layout}"]
    for post in found.posts:
        if post.reason is not None:
            lines.append(f"  {post.where}: rejected, {post.reason}: {post.message}")
            continue
        reactions = ", ".join(f"{name} {count:,}" for name, count in post.reactions.items() if count)
        lines.append(f"  {post.where}: id {post.id}, image {post.image}")
        lines.append(f"    reactions: {reactions or 'none'}; comments: {post.comments:,}")
        lines += [f"    - {text!r}" for text in post.first_comments]
    lines += [f"warning: {warning}" for warning in found.warnings]
    if found.source is not None and found.posts:
        lines.append(f"Of the first {len(found.posts):,} posts {found.kept:,} would be kept. To ingest all:")
        lines.append("  " + _command(found.source, folder))
    return "\n".join(lines)


def _command(source: dict[str, Any], folder: Path) -> str:
    """The command that ingests with this source, quoted for a shell."""
    from shlex import join

    changes = [part for path, value in _leaves("source", source) for part in ("--set", f"{path}={value}")]
    return join(["vise", "run", "ingest", "--local", "--input", f"source={folder}", *changes])


def _leaves(path: str, value: Any) -> list[tuple[str, str]]:
    """(dotted path, value as ``--set`` reads it back) of every field."""
    from json import dumps

    import yaml

    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in _leaves(f"{path}.{name}", inner)]
    try:
        plain = isinstance(value, str) and yaml.safe_load(value) == value
    except yaml.YAMLError:
        plain = False
    return [(path, value if plain else dumps(value, ensure_ascii=False))]
