"""Preview a folder of posts: guess its layout and field map, and show the first posts as ingest would read them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from vise_core.errors import BadInput
from vise_core.files.names import printable_name
from vise_core.formats.post import PostRecord
from vise_core.posts.fields.guess import guess_fields
from vise_core.specs.base import is_path_inside
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.posts.fields import FIELD_MAPS, REACTIONS
from vise_core.specs.posts.images import is_image_name
from vise_core.specs.posts.peek import Peek, PeekedPost
from vise_core.specs.posts.sources import PostSource

from .check import PostChecker, Tally, files_below
from .readers import READERS, Notes, RawPost
from .readers.json_list import elements
from .readers.pictures import is_sidecar
from .readers.text import COMPRESSED, encoding_of

SHOWN = 10
SAMPLED = 20
"""Posts that a guess is judged by."""

MAX_FILES, MAX_CANDIDATES = 20_000, 24
MAX_REASONS = 3
_TABLES = (".csv", ".tsv", ".tab")
_LINES = (".jsonl", ".ndjson")
_TARS = (".tar", ".tar.gz", ".tgz")
_SHOWN_COMMENTS, _SHOWN_CHARACTERS = 3, 120


def peek(folder: Path, *, source: PostSource | None = None, posts: int = SHOWN) -> Peek:
    """Return the first posts of a folder, read with ``source`` or with a guessed source. Reads only a few rows."""
    settings = (
        source.model_dump(exclude_defaults=True) | {"kind": source.kind} if source is not None else None
    )
    guessed = settings or guess_source(folder)
    if guessed is None:
        return Peek(
            layout="unknown",
            warnings=(
                "No layout of posts fits: there is no CSV, JSON, JSONL, Parquet or tar file that holds posts, and no "
                "picture with a .json or .txt beside it.",
                *_why_not(folder),
            ),
        )
    try:
        shown, tally, warnings = _read(folder, guessed, posts)
    except BadInput as error:
        return Peek(layout=guessed["kind"], source=guessed, warnings=(str(error),))
    return Peek(
        layout=guessed["kind"],
        source=guessed,
        posts=tuple(_shown(folder, raw, record, tally) for raw, record in shown),
        rejected=tally.rejected,
        warnings=tuple(warnings),
    )


def guess_source(folder: Path) -> dict[str, Any] | None:
    """Return the ``source`` of an ingest spec that reads most of the first rows; None where no layout fits."""
    best: dict[str, Any] | None = None
    most: tuple[float, ...] = (-1.0,)
    for candidate in islice(_candidates(folder), MAX_CANDIDATES):
        rows = _rows(folder, candidate)
        maps = ("flat", *FIELD_MAPS) if candidate["kind"] == "csv" else tuple(FIELD_MAPS)
        for name in dict.fromkeys(maps):
            fields = guess_fields(rows, name, candidate["kind"])
            source = {**candidate, "fields": fields} if fields else candidate
            score = _score(folder, source, len(fields))
            if score > most:
                best, most = source, score
    return best


def _why_not(folder: Path) -> Iterator[str]:
    """Yield the problems of the first files whose names look like posts."""
    for candidate in islice(_candidates(folder), MAX_REASONS):
        try:
            shown, _, _ = _read(folder, candidate, SAMPLED)
        except BadInput as error:
            yield f"Read as {candidate['kind']}: {error}"
        else:
            if not shown:
                yield f"{printable_name(candidate.get('posts', candidate['kind']))} holds no post."


def _candidates(folder: Path) -> Iterator[dict[str, Any]]:
    """Return the sources that the file names suggest, the likeliest first."""
    if not folder.is_dir():
        files = [folder.name]
    else:
        files = [below for _, below in islice(files_below(folder), MAX_FILES)]
    files = [name for name in files if is_path_inside(name)]
    beside = _sidecars(files)
    texts: dict[tuple[str, str, str], list[str]] = {}
    for name in files:
        if name not in beside and (kind := _text_kind(folder, name)) is not None:
            place = name.rpartition("/")[0]
            texts.setdefault((place, kind, _ending(name)), []).append(name)
    named = sorted(texts.items(), key=lambda item: (item[0][0].count("/"), item[0]))
    for (_, kind, _), names in named:
        yield from ({"kind": kind, "posts": name} for name in names if _stem(name) == "posts")
    if any(name.lower().endswith(".parquet") for name in files):
        yield {"kind": "parquet"}
    if any(name.lower().endswith(_TARS) for name in files):
        yield {"kind": "webdataset"}
    if beside:
        yield {"kind": "pictures"}
    for (place, kind, ending), names in named:
        if len(names) > 1 and kind == "jsonl":
            yield {"kind": kind, "posts": f"{place}/*{ending}".lstrip("/")}
        yield from ({"kind": kind, "posts": name} for name in names if _stem(name) != "posts")


def _text_kind(folder: Path, name: str) -> str | None:
    plain = _ending(name).removesuffix(".gz").removesuffix(".zst")
    if plain in _TABLES:
        return "csv"
    if plain in _LINES:
        return "jsonl"
    if plain != ".json":
        return None
    path = folder / name if folder.is_dir() else folder
    try:
        encoding = encoding_of(path, None, Notes(), guess=False)
        next(elements(path, encoding, None), None)
    except BadInput:
        return "jsonl"  # one object a line is often named .json
    return "json"


def _ending(name: str) -> str:
    """Return the endings of a file's name, such as .jsonl.gz for posts.jsonl.gz."""
    path = Path(name.lower())
    return path.with_suffix("").suffix + path.suffix if path.suffix in COMPRESSED else path.suffix


def _stem(name: str) -> str:
    return Path(name).name.lower().removesuffix(_ending(name))


def _sidecars(files: Sequence[str]) -> set[str]:
    """Return the .json and .txt files that lie beside an image of the same name."""
    pictures = {name for name in files if is_image_name(name)}
    pictures |= {name[: name.rindex(".")] for name in pictures}
    return {name for name in files if is_sidecar(name) and name[: name.rindex(".")] in pictures}


def _rows(folder: Path, candidate: dict[str, Any]) -> list[Any]:
    source = _source(candidate)
    try:
        raw = islice(READERS[source.kind](folder, source, Notes()), SAMPLED)
        return [post.row for post in raw if isinstance(post.row, dict)]
    except BadInput:
        return []


def _score(folder: Path, source: dict[str, Any], guesses: int) -> tuple[float, ...]:
    """Return a sort key of a guess: posts kept, comments, reactions, then the shorter field map."""
    try:
        shown, tally, _ = _read(folder, source, SAMPLED)
    except BadInput:
        return (-1.0,)
    if not shown:
        return (-1.0,)
    signals = (tally.comments > 0) + (tally.reactions > 0)
    lost = tally.dropped.get("comments_without_text", 0) + len(tally.unread_reactions)
    return (tally.posts / len(shown), float(signals), float(-lost), float(tally.comments), float(-guesses))


def _read(
    folder: Path, source: dict[str, Any], most: int
) -> tuple[list[tuple[RawPost, PostRecord | None]], Tally, list[str]]:
    spec, tally = IngestSpec(source=_source(source)), Tally()
    with tempfile.TemporaryDirectory(prefix="vise-peek-") as work:
        checker = PostChecker(spec, folder, tally, Path(work) / "seen.sqlite")
        shown = list(islice(checker.records(), most))
        checker.close()
    return shown, tally, [*checker.notes.warnings, *tally.warnings()]


def _source(source: dict[str, Any]) -> PostSource:
    return TypeAdapter(PostSource).validate_python(source)


def _shown(folder: Path, raw: RawPost, record: PostRecord | None, tally: Tally) -> PeekedPost:
    image = f"{len(raw.image):,} bytes" if isinstance(raw.image, bytes) else ""
    if isinstance(raw.image, Path):
        root = folder.resolve()
        inside = raw.image.is_relative_to(root)
        image = printable_name(raw.image.relative_to(root).as_posix() if inside else raw.image.name)
    if record is None:
        where = printable_name(raw.where)
        rejections = (
            (reason, example["message"])
            for reason, several in tally.examples.items()
            for example in several
            if example["where"] == where and reason in tally.rejected
        )
        reason, message = next(rejections, ("rejected", ""))
        return PeekedPost(where=where, image=image, reason=reason, message=message)
    comments = record.post.comments
    return PeekedPost(
        where=printable_name(raw.where),
        id=record.post.id,
        image=image,
        comments=len(comments),
        first_comments=tuple(text[:_SHOWN_CHARACTERS] for text in comments[:_SHOWN_COMMENTS]),
        reactions=dict(zip(REACTIONS, record.post.reactions, strict=True)),
    )
