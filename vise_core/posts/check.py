"""Check the posts of a source: ingest writes the checked posts; survey and peek only count them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from vise_core.engine import Engine, Inline
from vise_core.errors import BadImage, BadInput
from vise_core.files.names import printable_name
from vise_core.formats.post import PostRecord
from vise_core.posts.fields.mapping import Mapping
from vise_core.posts.fields.rows import Checked, check_row, mapping_of
from vise_core.posts.images.decode import StoredImage, store_image
from vise_core.specs.ingest import DROPPED, IngestSpec
from vise_core.specs.posts.images import is_image_name
from vise_core.specs.posts.sources import SampleSource

from .paths import is_system_file
from .readers import READERS, Notes, RawPost
from .rejected import RejectedPost

EXAMPLES = 100
"""Rejected posts that the report shows of each reason."""

BATCH_POSTS, BATCH_BYTES = 32, 4 * 2**20
"""Posts that another process checks at once."""

NAMES = 100
"""Names of other reactions, and places of unread ones, that are counted apart."""

OTHERS = "(further names)"


@dataclass
class Tally:
    """Counts of checked and rejected posts.

    Ingest saves them with each finished shard, so that a resumed run continues from them.
    """

    read: int = 0
    posts: int = 0
    comments: int = 0
    reactions: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    repaired: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    shards: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    other_reactions: dict[str, int] = field(default_factory=dict)
    unread_reactions: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str, where: str, message: str) -> None:
        """Count a rejected post by its reason; the first are kept as examples."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        self.show(reason, where, message)

    def drop(self, reason: str, count: int, where: str, message: str = "") -> None:
        """Count parts that were left out of an accepted post, by reason."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.show(reason, where, message or f"{DROPPED[reason]}: {count:,}")

    def show(self, reason: str, where: str, message: str) -> None:
        """Keep an example of a reason; only the first ones are kept."""
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append({"where": printable_name(where), "message": _plain(message)[:500]})

    def warnings(self) -> list[str]:
        """Return warnings about the checked posts, one sentence each."""
        sentences = []
        if self.posts and self.dropped.get("posts_without_reactions") == self.posts:
            sentences.append(
                "No post has a reaction: every count is zero or missing. Check source.fields.reactions."
            )
        if self.posts and self.dropped.get("posts_without_comments") == self.posts:
            sentences.append("No post has a comment. Check source.fields.comments and source.fields.text.")
        if self.other_reactions:
            sentences.append(
                f"Reactions under names that are none of the five are left out: {_listed(self.other_reactions)}. "
                "Where one of them is one of the five, add it to source.fields.names."
            )
        if self.unread_reactions:
            sentences.append(
                f"Posts hold reactions in fields that source.fields does not read: {_listed(self.unread_reactions)} (posts). "
                "Set source.fields.reactions, or the field of that reaction."
            )
        if count := self.dropped.get("reactions_without_type"):
            sentences.append(f"{count:,} reactions are in a total only, without a type; they are left out.")
        if count := self.dropped.get("comments_without_text"):
            sentences.append(f"{count:,} comments have no text at source.fields.text; they are left out.")
        for reason in ("images_without_post", "other_files"):
            if count := self.dropped.get(reason):
                first = self.examples[reason][0]["where"]
                sentences.append(f"{DROPPED[reason].capitalize()}: {count:,}, such as '{first}'.")
        return sentences


@dataclass(frozen=True)
class CheckedPost:
    """A post that can be used, unless another one has its id, and its image as a shard stores it."""

    row: Checked
    image: StoredImage


@dataclass(frozen=True)
class Rejection:
    """Why a post cannot be used: a stable slug and a sentence."""

    reason: str
    message: str


def check_post(raw: RawPost, spec: IngestSpec, mapping: Mapping) -> CheckedPost | Rejection:
    """Check a post by itself; ``mapping`` is ``mapping_of(spec)``."""
    try:
        if raw.rejected is not None:
            raise raw.rejected
        row = check_row(raw.row, spec, mapping)
        assert raw.image is not None
        image = store_image(raw.image, max_pixels=spec.max_image_pixels, max_side=spec.max_image_side)
    except RejectedPost as error:
        return Rejection(error.reason, str(error))
    except BadImage as error:
        return Rejection(f"image_{error.reason}", str(error))
    return CheckedPost(row, image)


def check_posts(spec: IngestSpec, mapping: Mapping, batch: list[RawPost]) -> list[CheckedPost | Rejection]:
    """Check posts by themselves, in the order given."""
    return [check_post(raw, spec, mapping) for raw in batch]


def _batches(posts: Iterator[RawPost], most: int) -> Iterator[list[RawPost]]:
    """Yield posts in batches of at most ``most``, and about BATCH_BYTES of images that lie in the source's files."""
    batch: list[RawPost] = []
    size = 0
    try:
        for raw in posts:
            batch.append(raw)
            size += len(raw.image) if isinstance(raw.image, bytes) else 0
            if len(batch) == most or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    except BadInput:
        # The posts before the place that cannot be read are checked first.
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _batch_name(batch: list[RawPost]) -> str:
    return f"posts from {printable_name(batch[0].where)}"


class PostChecker:
    """Reads the posts of a source, checks each, and counts the results in ``tally``.

    ``database`` is the path of an SQLite file for the ids and image names seen so far, which keeps memory use
    constant. Reading starts after the first ``tally.read`` posts. ``engine`` checks the posts, images above all; what
    depends on their order is done here.
    """

    def __init__(
        self,
        spec: IngestSpec,
        folder: Path | None,
        tally: Tally,
        database: Path,
        engine: Engine = Inline(),
    ) -> None:
        self.spec = spec
        self.tally = tally
        self.notes = Notes()
        self._folder = folder
        self._root = folder.resolve() if folder is not None else None
        self._engine = engine
        self._seen = Seen(database, tally.read)

    def records(self) -> Iterator[tuple[RawPost, PostRecord | None]]:
        """Yield each raw post with its checked record, or with None where it is rejected; count the reasons.

        Raises BadInput where the source cannot be read.
        """
        batches: deque[list[RawPost]] = deque()

        def reading() -> Iterator[list[RawPost]]:
            most = 1 if isinstance(self._engine, Inline) else BATCH_POSTS
            for batch in _batches(islice(self._raw(), self.tally.read, None), most):
                batches.append(batch)
                yield batch

        check = partial(check_posts, self.spec, mapping_of(self.spec))
        for results in self._engine.ordered(check, reading(), _batch_name):
            for raw, result in zip(batches.popleft(), results, strict=True):
                self.tally.read += 1
                yield raw, self._accept(raw, result)

    def count_files(self) -> None:
        """Count the files of the folder that no post names. Call it once, after the last post."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path, below in files_below(self._folder):
            if path in self.notes.files or self.notes.is_data(below) or self._seen.is_named(below):
                continue
            if is_image_name(below):
                self.tally.drop("images_without_post", 1, below, "no post names this image")
            else:
                self.tally.drop("other_files", 1, below, "neither an image nor a file of posts")

    def save(self) -> None:
        """Commit the ids and names seen so far to disk."""
        self._seen.commit()

    def close(self) -> None:
        """Close the table of seen ids."""
        self._seen.close()

    def _raw(self) -> Iterator[RawPost]:
        if isinstance(self.spec.source, SampleSource):
            from .sample import raw_posts

            return raw_posts(self.spec.source, self.spec.seed)
        assert self._folder is not None
        return READERS[self.spec.source.kind](self._folder, self.spec.source, self.notes)

    def _accept(self, raw: RawPost, result: CheckedPost | Rejection) -> PostRecord | None:
        tally = self.tally
        if isinstance(raw.image, Path) and self._root is not None:
            self._seen.name(_below(self._root, raw.image.resolve()), tally.read)
        if isinstance(result, CheckedPost) and not self._seen.add(result.row.post.id, tally.read):
            result = Rejection("duplicate_id", f"the post {result.row.post.id!r} was there before")
        if isinstance(result, Rejection):
            tally.reject(result.reason, raw.where, result.message)
            return None
        self._count(raw, result.row, result.image.repairs)
        return PostRecord(result.row.post, result.image.data, result.image.extension)

    def _count(self, raw: RawPost, checked: Checked, repairs: tuple[str, ...]) -> None:
        tally, post = self.tally, checked.post
        tally.posts += 1
        tally.comments += len(post.comments)
        tally.reactions += sum(post.reactions)
        for repair in sorted({*checked.repairs, *repairs}):
            tally.repaired[repair] = tally.repaired.get(repair, 0) + 1
        for reason, count in {**checked.dropped, **raw.dropped}.items():
            message = {
                "other_reactions": ", ".join(f"{name} {n:,}" for name, n in checked.counts.other.items()),
                "unread_reactions": f"reactions at {', '.join(checked.counts.unread)}",
            }.get(reason, "")
            tally.drop(reason, count, raw.where, message)
        for name, count in checked.counts.other.items():
            _add(tally.other_reactions, name, count)
        for place in checked.counts.unread:
            _add(tally.unread_reactions, place, 1)


class Seen:
    """SQLite table of the ids of accepted posts and of their image names; memory use stays constant."""

    def __init__(self, path: Path, read: int) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;"
        )
        for table in ("seen", "named"):
            self._db.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (id BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID"
            )
        # What lies behind the last whole shard is read again.
        self._db.execute("DELETE FROM seen WHERE n > ?", (read,))
        self._db.execute("DELETE FROM named WHERE n > ?", (read,))
        self._db.execute("BEGIN")

    def add(self, post_id: str, n: int) -> bool:
        """Record a post id; return True unless the id is a duplicate."""
        row = (_digest(post_id), n)
        return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", row).rowcount == 1

    def name(self, image: str, n: int) -> None:
        """Record that a post names an image."""
        self._db.execute("INSERT OR IGNORE INTO named VALUES (?, ?)", (_digest(image), n))

    def is_named(self, image: str) -> bool:
        """Return True if a post has named the image."""
        row = (_digest(image),)
        return self._db.execute("SELECT 1 FROM named WHERE id = ?", row).fetchone() is not None

    def commit(self) -> None:
        """Write what was recorded to disk."""
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Write what was recorded to disk and close the file."""
        self._db.execute("COMMIT")
        self._db.close()


def files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield (resolved path, relative path) of every file below the folder, sorted by name; skip system files."""
    root = folder.resolve()
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_system_file(name))
        for name in sorted(names):
            if not is_system_file(name):
                path = Path(place) / name
                target = path.resolve() if path.is_symlink() else path
                yield target, _below(root, target if target.is_relative_to(root) else path)


def source_of(spec: IngestSpec, inputs: dict[str, Path]) -> Path | None:
    """Return the folder of posts, None for sample data. Raises BadInput if the input is missing."""
    if isinstance(spec.source, SampleSource):
        return None
    if "source" not in inputs:
        raise BadInput("source: give the folder of posts as input, or choose the sample source")
    return inputs["source"]


def _below(root: Path, path: Path) -> str:
    """Return the path relative to the root where it lies below it; both are resolved."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _add(counts: dict[str, int], name: str, count: int) -> None:
    key = name if name in counts or len(counts) < NAMES else OTHERS
    counts[key] = counts.get(key, 0) + count


def _listed(counts: dict[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: -item[1])
    more = f" and {len(most) - 5} more" if len(most) > 5 else ""
    return ", ".join(f"{name} {count:,}" for name, count in most[:5]) + more


def _plain(message: str) -> str:
    return message.encode("utf-8", "backslashreplace").decode()
