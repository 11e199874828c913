"""Survey a labelled set with the readers of the evaluation, so that both reject the same files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from vise_core.errors import BadImage, BadInput, Stopped
from vise_core.posts.images.decode import encode_jpeg, open_image
from vise_core.reporter import Reporter
from vise_core.specs.tasks.catalogue import TASKS
from vise_core.specs.tasks.kinds import CsvTask, Task
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks import LabelledImages, open_task, require_usable
from vise_core.tasks.files import task_root
from vise_core.tasks.inventory import take_inventory
from vise_core.tasks.usable import MAX_IMAGE_PIXELS, Problem, missing_problems, unreadable

from .sniff import other_lists

if TYPE_CHECKING:
    from .survey import SurveyFacts

THUMBNAIL = 160
EXAMPLES, MAX_CLASSES = 20, 1000
IMBALANCE = 10
"""From here on the largest class over the smallest is worth a warning; the integrity checks have the same limit."""


def survey_images(
    facts: SurveyFacts, folder: Path, task: Task, samples: int, decode: bool, target: Path, reporter: Reporter
) -> None:
    """Count the images of the task, and record whether an evaluation would reject it and why."""
    facts.task = task
    problems: list[Problem] = []
    images = None
    try:
        images, missing = open_task(task, folder)
        problems = missing_problems(missing)
        if images is not None:
            problems += _check_images(facts, images, samples, decode, target, reporter)
        failures = problems[len(missing) :]
        require_usable(task, images, missing, SplitSpec(), lambda: failures)
    except BadInput as error:
        facts.rejection = str(error)
        facts.warnings.append(f"An evaluation would reject it: {error}")
    for problem in problems:
        facts.rejected[problem.reason] = facts.rejected.get(problem.reason, 0) + 1
    facts.examples += [
        {"path": problem.path, "reason": problem.reason, "message": problem.message[:300]}
        for problem in problems[:EXAMPLES]
    ]
    inventory = take_inventory(folder, images)
    facts.other, facts.hidden = inventory.other, inventory.hidden + inventory.masks
    facts.unlabelled = inventory.unlabelled
    facts.warnings += [*_of_list(folder, task), *inventory.warnings()]
    if images is not None:
        _facts(facts, images)


def _of_list(folder: Path, task: Task) -> list[str]:
    """Return warnings on how a list of images was read, one sentence each."""
    if not isinstance(task, CsvTask):
        return []
    warnings = []
    if not task.encoding.lower().startswith("utf"):
        warnings.append(
            f"{task.manifest} is not UTF-8; it is read as {task.encoding}. Set task.encoding where that is wrong."
        )
    if others := other_lists(task_root(folder), task.manifest):
        warnings.append(
            f"{', '.join(others)} also name{'s' if len(others) == 1 else ''} images; only {task.manifest} is read. For "
            "further labels or splits, put all rows into one list, with a column of splits."
        )
    return warnings


def _facts(facts: SurveyFacts, images: LabelledImages) -> None:
    facts.images, facts.synthetic = len(images), images.synthetic
    counts = Counter(images.classes[label] for label in images.labels.tolist())
    facts.classes = dict(counts.most_common(MAX_CLASSES))
    if images.published is not None:
        facts.parts = dict(Counter(images.published))
    if images.unlabelled:
        facts.warnings.append(f"{images.unlabelled:,} test images have no label; they are left out.")
    facts.warnings += images.notes
    sizes = sorted(counts.values())
    if sizes[-1] > IMBALANCE * sizes[0]:
        facts.warnings.append(
            f"Uneven labels: the largest class has {sizes[-1]:,} images, the smallest {sizes[0]:,}."
        )
    entry = TASKS.get(facts.layout)
    if entry is not None and entry.class_names is None and len(images.classes) != entry.classes:
        facts.warnings.append(f"{len(images.classes)} classes; {entry.title} has {entry.classes}.")


def _check_images(
    facts: SurveyFacts, images: LabelledImages, samples: int, decode: bool, target: Path, reporter: Reporter
) -> list[Problem]:
    """Open every image, or without ``decode`` only the samples. Returns the images that cannot be decoded."""
    shown, problems = set(_evenly(images, samples)), []
    for position, path in enumerate(images.paths):
        if position % 50 == 0:
            reporter.progress(position, len(images), "images", phase="checking images")
            if reporter.should_stop():
                raise Stopped("the survey of the images was stopped; it starts over when the run is resumed")
        if not decode and position not in shown:
            continue
        facts.examined += 1
        try:
            image = open_image(path, max_pixels=MAX_IMAGE_PIXELS)
        except BadImage as error:
            problems.append(unreadable(images, position, error))
            continue
        if position in shown:
            label = images.classes[int(images.labels[position])]
            _keep(facts, target, image, images.relative_path(position), label)
    return problems


def _evenly(images: LabelledImages, samples: int) -> list[int]:
    """Return the positions of the samples, with classes in turn, so that each class is shown."""
    by_class: dict[int, list[int]] = {}
    for position, label in enumerate(images.labels.tolist()):
        by_class.setdefault(label, []).append(position)
    each = max(1, -(-samples // len(by_class)))
    turns = [rows[:: max(1, len(rows) // each)][:each] for _, rows in sorted(by_class.items())]
    return [rows[turn] for turn in range(each) for rows in turns if turn < len(rows)][:samples]


def _keep(facts: SurveyFacts, target: Path, image: Image.Image, name: str, label: str) -> None:
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = f"thumbnails/{len(facts.samples):03d}.jpg"
    (target / file).write_bytes(encode_jpeg(image))
    facts.samples.append({"file": file, "path": name[:300], "label": label[:300]})
