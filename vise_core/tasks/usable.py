"""Check that images of a task can be used; stages and surveys share this check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from vise_core.errors import BadImage, BadInput
from vise_core.files.names import printable_name
from vise_core.posts.images.decode import open_image
from vise_core.specs.tasks.kinds import Task
from vise_core.specs.tasks.splits import SplitSpec

from .files import in_threads
from .records import LabelledImages, Row
from .splits import Split, require_measurable, task_splits

MAX_IMAGE_PIXELS = 50_000_000
"""Larger images of a task are rejected before they are decoded."""

MISSING = "missing"


class Problem(NamedTuple):
    """A file that cannot be used: its path, a reason (slug), and a message."""

    path: str
    reason: str
    message: str


class RejectedImages(BadInput):
    """Files of a task are missing or cannot be read. ``reasons`` counts them."""

    def __init__(self, task: str, of: int, problems: Sequence[Problem], name_first: int = 10) -> None:
        self.problems = tuple(problems)
        self.reasons = dict(Counter(problem.reason for problem in problems))
        lines = [f"  {problem.message}" for problem in problems[:name_first]]
        if len(problems) > name_first:
            lines.append(f"  … and {len(problems) - name_first} more")
        counted = ", ".join(f"{reason} {count}" for reason, count in Counter(self.reasons).most_common())
        head = f"task {task}: {len(problems)} of {of} images cannot be read ({counted}); fix or remove them:"
        if self.reasons.keys() == {MISSING}:
            head, lines = problems[0].message, lines[1:]
            if lines:
                head += f" ({len(problems)} of {of} files are missing):"
        super().__init__("\n".join([head, *lines]))


def require_usable(
    spec: Task,
    images: LabelledImages | None,
    missing: Sequence[Row],
    splits: SplitSpec,
    unreadable: Callable[[], Iterable[Problem]],
) -> list[Split]:
    """Return the splits of a task if all its images can be used.

    Images are never skipped: without some images, a test set gives numbers that cannot be compared. Raises
    RejectedImages for missing and unreadable files, BadInput if the splits cannot be drawn or the metric is undefined
    on them. ``unreadable`` is called last, as it may take an hour.
    """
    if images is None:
        raise RejectedImages(spec.name, len(missing), missing_problems(missing))
    parts = []
    if not missing:
        parts = task_splits(images, splits)
        require_measurable(spec, images, parts)
    problems = [*missing_problems(missing), *unreadable()]
    if problems:
        raise RejectedImages(images.name, len(images) + len(missing), problems)
    return parts


def missing_problems(missing: Iterable[Row]) -> list[Problem]:
    """Return a problem for each row whose file is missing."""
    problems = []
    for row in missing:
        name = printable_name(row.path)
        where = f"{row.where}: " if row.where else ""
        problems.append(Problem(name, MISSING, f"{where}no file '{name}' in the data set's folder"))
    return problems


def unreadable_images(images: LabelledImages, workers: int = 2) -> list[Problem]:
    """Return a problem for every image that cannot be decoded; each is opened once."""
    return [
        unreadable(images, index, error)
        for index, error in enumerate(in_threads(_error, images.paths, workers))
        if error is not None
    ]


def unreadable(images: LabelledImages, index: int, error: BadImage) -> Problem:
    """Return the problem of an image that ``open_image`` rejected."""
    path = images.relative_path(index)
    return Problem(path, error.reason, f"{path}: {error}")


def _error(path: Path) -> BadImage | None:
    try:
        open_image(path, max_pixels=MAX_IMAGE_PIXELS)
    except BadImage as error:
        return error
    return None
