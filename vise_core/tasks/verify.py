"""Compare a folder with a task as published: counts of Table 8; missing, unreadable and repeated files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from vise_core.errors import BadImage, BadInput
from vise_core.files.hashing import file_sha256
from vise_core.files.names import printable_name
from vise_core.posts.images.decode import open_image
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import HatefulMemesTask, Task, named_task
from vise_core.specs.tasks.report import Listed, SplitCount, TaskReport
from vise_core.specs.tasks.splits import SplitName, SplitSpec

from .files import in_threads
from .labelled import open_task
from .records import LabelledImages, Row
from .splits import require_measurable, task_splits
from .usable import MAX_IMAGE_PIXELS

PARTS: tuple[SplitName, ...] = ("train", "val", "test")
SHOWN_OF_A_GROUP = 4


class _CheckedFile(NamedTuple):
    """The digest of a file, and the reason why it cannot be decoded, if any."""

    digest: bytes
    problem: str | None


def verify_task(
    spec: Task,
    folder: Path,
    *,
    decode: bool = True,
    workers: int = 2,
    name_first: int = 10,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> TaskReport:
    """Check everything that an evaluation reads, and report all problems.

    With ``decode`` off, only lists and names are read, which is fast but misses damaged and repeated files. Never
    raises BadInput: the report has the problems of the folder.
    """
    spec = named_task(spec, folder.resolve().name)
    facts: dict[str, Any] = {
        "kind": spec.kind,
        "title": spec.name,
        "classes_expected": TASKS[spec.kind].classes if spec.kind in TASKS else None,
    }
    try:
        images, missing = open_task(spec, folder)
    except BadInput as error:
        return _unusable(facts, [str(error)])
    facts["missing"] = _listed([_named(row) for row in missing], name_first)
    if images is None:
        return _unusable(facts, _missing_sentences(facts["missing"]))
    facts |= {"images": len(images), "unlabelled": images.unlabelled, "decoded": decode}
    facts["classes_found"] = len(set(images.labels.tolist()))
    faults = _missing_sentences(facts["missing"])
    try:
        facts["splits"] = _split_counts(spec, images)
    except BadInput as error:
        faults.append(str(error))
    notes = []
    if decode:
        checked = _check_files(images, workers, progress)
        facts["unreadable"] = _listed(
            [f"{images.relative_path(i)}: {file.problem}" for i, file in enumerate(checked) if file.problem],
            name_first,
        )
        if facts["unreadable"].number:
            faults.append(
                f"{facts['unreadable'].number:,} images cannot be read; an evaluation fails until they are "
                "fixed or downloaded again."
            )
        facts |= _repeats(images, [file.digest for file in checked], name_first)
        notes = _repeat_sentences(images, facts)
    else:
        notes.append("Files were not opened, so damaged and repeated files are not found.")
    if images.unlabelled:
        notes.append(f"{images.unlabelled:,} test images have no label and are left out.")
    if faults:
        return _unusable(facts, [*_count_sentences(facts), *faults, *notes])
    return _judged(spec, facts, notes)


def expected_counts(spec: Task) -> dict[SplitName, int]:
    """Return the counts of Table 8 that hold for the splits that the spec selects."""
    if spec.kind not in TASKS:
        return {}
    counts = dict(TASKS[spec.kind].counts)
    if isinstance(spec, HatefulMemesTask):
        if spec.train != "train":
            del counts["train"]
        if spec.val != "dev":
            del counts["val"]
    return counts


def _split_counts(spec: Task, images: LabelledImages) -> tuple[SplitCount, ...]:
    """Return the counts of the parts that an evaluation would use. Raises BadInput if it would fail."""
    splits = task_splits(images, SplitSpec(count=1, stratify=False))
    require_measurable(spec, images, splits)
    expected = expected_counts(spec)
    counts = []
    for part, indices in zip(PARTS, splits[0], strict=True):
        if len(indices) or part in expected:
            of_class = Counter(images.labels[indices].tolist())
            counts.append(
                SplitCount(
                    split=part,
                    found=len(indices),
                    expected=expected.get(part),
                    classes={name: of_class[number] for number, name in enumerate(images.classes)},
                )
            )
    return tuple(counts)


def _check_files(
    images: LabelledImages, workers: int, progress: Callable[[int, int], None]
) -> list[_CheckedFile]:
    checked = []
    for file in in_threads(_check_file, images.paths, workers):
        checked.append(file)
        progress(len(checked), len(images))
    return checked


def _check_file(path: Path) -> _CheckedFile:
    try:
        digest = bytes.fromhex(file_sha256(path))
        open_image(path, max_pixels=MAX_IMAGE_PIXELS)
    except BadImage as error:
        return _CheckedFile(digest, str(error))
    except OSError as error:
        # A digest of its own: files that cannot be read are not copies of each other.
        return _CheckedFile(os.fsencode(path), f"cannot be opened ({error.strerror})")
    return _CheckedFile(digest, None)


def _repeats(images: LabelledImages, digests: list[bytes], name_first: int) -> dict[str, Listed]:
    """Return groups of files with the same content: those across published splits, and the others."""
    groups: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        groups.setdefault(digest, []).append(index)
    shared: list[str] = []
    repeated: list[str] = []
    for group in groups.values():
        if len(group) > 1:
            across = images.published is not None and len({images.published[i] for i in group}) > 1
            (shared if across else repeated).append(_group(images, group))
    return {"shared": _listed(shared, name_first), "repeated": _listed(repeated, name_first)}


def _group(images: LabelledImages, group: list[int]) -> str:
    names = []
    for index in group[:SHOWN_OF_A_GROUP]:
        part = "" if images.published is None else f"{images.published[index]}, "
        names.append(f"{images.relative_path(index)} ({part}{images.classes[images.labels[index]]})")
    more = f" and {len(group) - SHOWN_OF_A_GROUP} more" if len(group) > SHOWN_OF_A_GROUP else ""
    return " = ".join(names) + more


def _judged(spec: Task, facts: dict[str, Any], notes: list[str]) -> TaskReport:
    """Return the verdict on a set that can be evaluated."""
    entry = TASKS.get(spec.kind)
    short = entry is not None and (
        facts["classes_found"] != entry.classes
        or any(split.expected not in (None, split.found) for split in facts["splits"])
    )
    if entry is None:
        end = "Complete: every file that is named is there."
    elif short:
        end = (
            f"Incomplete: it can be evaluated, but it is not the set of {entry.counts_from}, so its numbers do not "
            "compare with the paper's."
        )
    elif all(split.expected is None for split in facts["splits"] if split.split != "train"):
        end = f"Complete: every file that is named is there; {entry.counts_from} states no counts for these splits."
    else:
        end = f"Complete: the counts are those of {entry.counts_from}."
    return TaskReport(
        **facts,
        verdict="incomplete" if short else "complete",
        sentences=(*_count_sentences(facts), *notes, end),
    )


def _unusable(facts: dict[str, Any], sentences: list[str]) -> TaskReport:
    end = "Unusable: an evaluation would fail."
    return TaskReport(**facts, verdict="unusable", sentences=(*sentences, end))


def _count_sentences(facts: dict[str, Any]) -> list[str]:
    """Return a sentence for each count that differs from the published one."""
    sentences = [
        f"{split.split}: {split.found:,} images, {split.expected:,} are published "
        f"({abs(split.expected - split.found):,} {'missing' if split.found < split.expected else 'too many'})."
        for split in facts.get("splits", ())
        if split.expected not in (None, split.found)
    ]
    expected = facts["classes_expected"]
    if expected not in (None, facts["classes_found"]):
        sentences.append(f"{facts['classes_found']:,} of {expected:,} classes have images.")
    return sentences


def _missing_sentences(missing: Listed) -> list[str]:
    if not missing.number:
        return []
    example = f", such as {missing.first[0]}" if missing.first else ""
    return [
        f"{missing.number:,} files that the lists name are missing{example}; an evaluation fails until "
        "they are, or until their lines are taken out."
    ]


def _repeat_sentences(images: LabelledImages, facts: dict[str, Any]) -> list[str]:
    sentences = []
    if facts["shared"].number:
        sentences.append(
            f"{facts['shared'].number:,} images are in two splits, byte for byte: what is tested was trained on."
        )
    if facts["repeated"].number:
        risk = "; random splits may part them" if images.published is None else ""
        sentences.append(
            f"{facts['repeated'].number:,} images are there more than once, byte for byte{risk}."
        )
    return sentences


def _named(row: Row) -> str:
    path = printable_name(row.path)
    return f"{path} ({row.where})" if row.where else path


def _listed(items: Iterable[str], name_first: int) -> Listed:
    items = list(items)
    return Listed(number=len(items), first=tuple(items[:name_first]))
