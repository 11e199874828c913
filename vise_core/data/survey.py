"""The stage ``survey``: look through a data set without changing it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter

from vise_core.errors import BadImage, BadInput, Stopped
from vise_core.posts.images import encode_jpeg, open_image
from vise_core.posts.refused import Refused
from vise_core.reporter import Reporter
from vise_core.specs.data import DataKind, Layout, SurveyResult, SurveySpec
from vise_core.specs.posts import PostSource
from vise_core.specs.tasks import TASKS, Task
from vise_core.tasks import load_task
from vise_core.tasks.labelled import MAX_IMAGE_PIXELS
from vise_core.tasks.records import LabelledImages

from .archives import Unpacked
from .layout import recognise, unwrapped
from .survey_posts import look_at_posts

THUMBNAIL = 160
EXAMPLES, MAX_CLASSES = 20, 1000
IMBALANCE = 10
"""From here on the largest class over the smallest is worth a warning; the integrity checks have the same limit."""


@dataclass
class Found:
    """What a look through a data set gathers."""

    layout: Layout
    images: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    samples: list[dict[str, str]] = field(default_factory=list)
    synthetic: bool = False
    examined: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    peek: dict[str, Any] | None = None

    def refuse(self, path: str, error: BadImage | Refused) -> None:
        """Count it, and keep the first as examples."""
        self.refused[error.reason] = self.refused.get(error.reason, 0) + 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"path": path, "reason": error.reason, "message": str(error)[:300]})


def run(spec: SurveySpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> SurveyResult:
    """Artifact: ``survey``. Raises BadInput where there is nothing to look at, Stopped."""
    return survey(
        inputs["dataset"], spec.kind, spec.samples, spec.decode, workspace, reporter, source=spec.source
    )


def survey(
    folder: Path,
    kind: DataKind,
    samples: int,
    decode: bool,
    workspace: Path,
    reporter: Reporter,
    unpacked: Unpacked | None = None,
    *,
    source: PostSource | None = None,
) -> SurveyResult:
    """Look, write ``survey.json`` and thumbnails, and tell what was found.

    ``unpacked``: what the archive lost on its way here; it is counted with what cannot be used.
    """
    # Posts are read as ingest will read them: from the folder as it is.
    folder = unwrapped(folder) if folder.is_dir() and kind != "posts" else folder
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else [folder]
    if not files:
        raise BadInput("the data set holds no file")
    target = workspace / "survey"
    (target / "thumbnails").mkdir(parents=True, exist_ok=True)
    layout: Layout = recognise(folder, kind) if folder.is_dir() else "weights"
    found = Found(layout)
    if unpacked is not None:
        _of_archive(found, unpacked)
    if layout == "unknown" and (kind != "posts" or source is None):
        found.warnings.append(f"The layout of the files was not recognised; {_expected(kind)}")
    elif kind == "images":
        _look_at_images(found, folder, samples, decode, target, reporter)
    elif kind == "posts":
        look_at_posts(found, folder, samples, target, reporter, source)
    (target / "survey.json").write_text(json.dumps(asdict(found), indent=1) + "\n")
    reporter.artifact("survey", target)
    for warning in found.warnings:
        reporter.log(warning, level="warning")
    return SurveyResult(
        kind=kind,
        layout=found.layout,
        images=found.images,
        bytes=sum(path.stat().st_size for path in files),
        files=len(files),
        classes=found.classes,
        parts=found.parts,
        refused=found.refused,
        warnings=tuple(found.warnings),
        synthetic=found.synthetic,
        examined=found.examined,
        dropped=found.dropped,
        source=found.peek["source"] if found.peek else None,
    )


def _look_at_images(
    found: Found, folder: Path, samples: int, decode: bool, target: Path, reporter: Reporter
) -> None:
    task: Task = TypeAdapter(Task).validate_python({"kind": found.layout})
    try:
        images = load_task(task, folder)
    except BadInput as error:
        found.warnings.append(f"An evaluation would refuse it: {error}")
        return
    found.images, found.synthetic = len(images), images.synthetic
    counts = Counter(images.classes[label] for label in images.labels.tolist())
    found.classes = dict(counts.most_common(MAX_CLASSES))
    if images.published is not None:
        found.parts = dict(Counter(images.published))
    shown = set(_evenly(images, samples))
    for position, path in enumerate(images.paths):
        if position % 50 == 0:
            reporter.progress(position, len(images), "images", phase="looking at images")
            if reporter.should_stop():
                raise Stopped("the look through the images was stopped; it begins anew when the run goes on")
        if not decode and position not in shown:
            continue
        name = images.relative_path(position)
        try:
            image = open_image(path, max_pixels=MAX_IMAGE_PIXELS)
        except BadImage as error:
            found.refuse(name, error)
            continue
        if position in shown:
            label = images.classes[int(images.labels[position])]
            _keep(found, target, image, name, label)
    _warn_of_images(found, images)


def _evenly(images: LabelledImages, samples: int) -> list[int]:
    """Positions to show: class by class in turn, so that each is seen."""
    by_class: dict[int, list[int]] = {}
    for position, label in enumerate(images.labels.tolist()):
        by_class.setdefault(label, []).append(position)
    each = max(1, -(-samples // len(by_class)))
    turns = [rows[:: max(1, len(rows) // each)][:each] for _, rows in sorted(by_class.items())]
    return [rows[turn] for turn in range(each) for rows in turns if turn < len(rows)][:samples]


def _warn_of_images(found: Found, images: LabelledImages) -> None:
    sizes = sorted(found.classes.values())
    if sizes and sizes[-1] > IMBALANCE * sizes[0]:
        found.warnings.append(
            f"Uneven labels: the largest class has {sizes[-1]:,} images, the smallest {sizes[0]:,}."
        )
    if found.refused:
        found.warnings.append(
            f"{sum(found.refused.values()):,} of {found.images:,} images cannot be read; an evaluation refuses such a "
            "set: mend or remove them."
        )
    entry = TASKS.get(found.layout)
    if entry is not None and entry.class_names is None and len(images.classes) != entry.classes:
        found.warnings.append(f"{len(images.classes)} classes; {entry.title} has {entry.classes}.")


def _of_archive(found: Found, unpacked: Unpacked) -> None:
    found.refused |= unpacked.rejected
    found.examples += unpacked.examples
    if unpacked.rejected:
        found.warnings.append(
            f"{sum(unpacked.rejected.values()):,} members of the archive were rejected for their names, such as "
            f"{unpacked.examples[0]['message']}. Rename them and pack again."
        )
    if unpacked.escaped:
        found.warnings.append(
            f"{unpacked.escaped:,} names in the archive are not UTF-8; each such byte is written as %E9 in the file's "
            f"name: {unpacked.escaped_first}."
        )


def _keep(found: Found, target: Path, image: Image.Image, name: str, label: str) -> None:
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = f"thumbnails/{len(found.samples):03d}.jpg"
    (target / file).write_bytes(encode_jpeg(image))
    found.samples.append({"file": file, "path": name[:300], "label": label[:300]})


def _expected(kind: DataKind) -> str:
    return {
        "images": "give one folder a class, or a labels.csv with path,label, or a layout of the paper's tasks.",
        "posts": "give CSV, JSON, JSONL or Parquet with images, WebDataset tar shards, or pictures with a .json each; see docs/posts.md.",
        "weights": "give a file of weights (.pth, .pt, .safetensors).",
    }[kind]
