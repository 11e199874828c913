"""``vise ingest-peek`` and ``vise sample-data``: read and write folders of posts, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .extras import require
from .output import say

if TYPE_CHECKING:
    from vise_core.specs.posts.peek import Peek


def sample_data(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    posts: Annotated[int, typer.Option(min=10, max=1_000_000, help="Number of posts.")] = 6000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same data.")] = 0,
    evaluation_images: Annotated[
        int, typer.Option(min=60, max=60_000, help="Number of images of the evaluation set.")
    ] = 600,
    image_size: Annotated[int, typer.Option(min=32, max=512, help="Side of the images, pixels.")] = 64,
) -> None:
    """Write synthetic posts (JSONL and images) and a matching evaluation set of six emotions."""
    require("core", "vise sample-data")
    from vise_core.posts.sample import write_sample
    from vise_core.specs.posts.sources import SampleSource

    source = SampleSource(posts=posts, evaluation_images=evaluation_images, image_size=image_size)
    write_sample(out, source, seed)
    say(f"{posts} synthetic posts and {evaluation_images} evaluation images are in {out}")


def ingest_peek(
    folder: Annotated[Path, typer.Argument(help="Folder of posts, or one file of them.", exists=True)],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Set a field of the source, such as kind=csv or fields.text=message. Repeatable."
        ),
    ] = None,
    posts: Annotated[int, typer.Option(min=1, max=1000, help="How many posts to show.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Detect the layout and fields of a folder of posts, and show the first posts as ingest would read them.

    Exits with 1 where ingest would keep none of them.
    """
    require("core", "vise ingest-peek")
    from pydantic import TypeAdapter

    from vise_core.posts.peek import guess_source, peek
    from vise_core.specs.posts.sources import PostSource

    from .run_files import read_spec

    source = None
    if changes:
        source = TypeAdapter(PostSource).validate_python(
            _merged(guess_source(folder), read_spec(None, changes))
        )
    result = peek(folder, source=source, posts=posts)
    say(result.model_dump_json(indent=1) if json else _text(result, folder))
    raise typer.Exit(0 if result.kept else 1)


def _merged(guess: dict[str, Any] | None, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the guessed source with the changes; another kind starts from its own defaults."""
    if guess is None or changes.get("kind", guess["kind"]) != guess["kind"]:
        return {"kind": "jsonl", **changes}
    fields = {**guess.get("fields", {}), **changes.get("fields", {})}
    return {**guess, **changes, **({"fields": fields} if fields else {})}


def _text(peek: Peek, folder: Path) -> str:
    lines = [f"layout: {peek.layout}"]
    for post in peek.posts:
        if post.reason is not None:
            lines.append(f"  {post.where}: rejected, {post.reason}: {post.message}")
            continue
        reactions = ", ".join(f"{name} {count:,}" for name, count in post.reactions.items() if count)
        lines.append(f"  {post.where}: id {post.id}, image {post.image}")
        lines.append(f"    reactions: {reactions or 'none'}; comments: {post.comments:,}")
        lines += [f"    - {text!r}" for text in post.first_comments]
    lines += [f"warning: {warning}" for warning in peek.warnings]
    if peek.source is not None and peek.posts:
        lines.append(f"Of the first {len(peek.posts):,} posts {peek.kept:,} would be kept. To ingest all:")
        lines.append("  " + _command(peek.source, folder))
    return "\n".join(lines)


def _command(source: dict[str, Any], folder: Path) -> str:
    """Return the command that ingests with this source, quoted for a shell."""
    from shlex import join

    changes = [part for path, value in _leaves("source", source) for part in ("--set", f"{path}={value}")]
    return join(["vise", "run", "ingest", "--local", "--input", f"source={folder}", *changes])


def _leaves(path: str, value: Any) -> list[tuple[str, str]]:
    """Return (dotted path, value in the form of ``--set``) of every field."""
    from json import dumps

    import yaml

    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in _leaves(f"{path}.{name}", inner)]
    try:
        plain = isinstance(value, str) and yaml.safe_load(value) == value
    except yaml.YAMLError:
        plain = False
    return [(path, value if plain else dumps(value, ensure_ascii=False))]
