"""Survey posts with the readers and checks of ingest, so that both reject the same posts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from vise_core.errors import BadImage, BadInput, Stopped
from vise_core.formats.posts import ShardIndex
from vise_core.posts.check import PostChecker, Tally
from vise_core.posts.images.decode import encode_jpeg, open_image
from vise_core.posts.peek import peek
from vise_core.reporter import Reporter
from vise_core.specs.ingest import IngestSpec
from vise_core.specs.posts.sources import PostSource

from .layout import unwrapped

if TYPE_CHECKING:
    from .survey import SurveyFacts

THUMBNAIL = 160
EXAMPLES = 20


def survey_posts(
    facts: SurveyFacts,
    folder: Path,
    samples: int,
    target: Path,
    reporter: Reporter,
    source: PostSource | None,
) -> None:
    """Count the posts of a folder and what ingest would reject, with the given source or the guessed one.

    Raises Stopped if the reporter asks to stop. An error of ingest becomes a warning.
    """
    if facts.layout == "shards" and source is None:
        _survey_shards(facts, unwrapped(folder), samples, target)
        return
    first = peek(folder, source=source)
    facts.peek = first.model_dump(mode="json")
    if first.source is None:
        facts.warnings += first.warnings
        return
    spec = IngestSpec(source=TypeAdapter(PostSource).validate_python(first.source))
    tally = Tally()
    database = target.parent / "survey-seen.sqlite"
    for old in target.parent.glob(f"{database.name}*"):
        old.unlink()
    checker = PostChecker(spec, folder, tally, database)
    try:
        for raw, record in checker.records():
            if record is not None and len(facts.samples) < samples:
                _keep(facts, target, record.image, raw.where, " / ".join(record.post.comments[:2]))
            if tally.read % 200 == 0:
                reporter.progress(tally.read, None, "posts", phase="checking posts")
                if reporter.should_stop():
                    raise Stopped(
                        "the survey of the posts was stopped; it starts over when the run is resumed"
                    )
        checker.count_files()
    except BadInput as error:
        facts.warnings.append(f"Ingest would fail: {error}")
    finally:
        checker.close()
    _add_checks(facts, tally, checker)


def _add_checks(facts: SurveyFacts, tally: Tally, checker: PostChecker) -> None:
    facts.layout = checker.spec.source.kind  # type: ignore[assignment]
    facts.images = facts.examined = tally.read
    facts.rejected |= tally.rejected
    facts.dropped = tally.dropped
    for reason, shown in tally.examples.items():
        if reason in tally.rejected:
            facts.examples += [
                {"path": example["where"], "reason": reason, "message": example["message"][:300]}
                for example in shown[:EXAMPLES]
            ]
    if tally.rejected:
        counted = ", ".join(f"{reason} {count:,}" for reason, count in tally.rejected.items())
        facts.warnings.append(
            f"Ingest will reject {sum(tally.rejected.values()):,} of {tally.read:,} posts: {counted}."
        )
    facts.warnings += [*checker.notes.warnings, *tally.warnings()]


def _survey_shards(facts: SurveyFacts, folder: Path, samples: int, target: Path) -> None:
    index = ShardIndex.open(folder)
    facts.images = facts.examined = len(index)
    facts.synthetic = index.synthetic
    step = max(1, len(index) // max(1, samples))
    for i in range(0, len(index), step)[:samples]:
        record = index.read_record(i)
        try:
            _keep(facts, target, record.image, record.post.id, " / ".join(record.post.comments[:2]))
        except BadImage as error:
            facts.reject(record.post.id, error)


def _keep(facts: SurveyFacts, target: Path, data: bytes, name: str, label: str) -> None:
    image = open_image(data)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = f"thumbnails/{len(facts.samples):03d}.jpg"
    (target / file).write_bytes(encode_jpeg(image))
    facts.samples.append({"file": file, "path": name[:300], "label": label[:300]})
