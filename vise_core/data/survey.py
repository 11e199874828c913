"""The stage ``survey``: inspect a data set without changing it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vise_core.errors import BadImage, BadInput
from vise_core.files.names import storable
from vise_core.limits import limited_data
from vise_core.posts.rejected import RejectedPost
from vise_core.reporter import Reporter
from vise_core.specs.posts.sources import PostSource
from vise_core.specs.survey import DataKind, Layout, SurveyResult, SurveySpec
from vise_core.specs.tasks.kinds import Task

from .archives import Unpacked
from .layout import recognise, task_of, unwrapped
from .survey_images import survey_images
from .survey_posts import survey_posts

EXAMPLES = 20


@dataclass
class SurveyFacts:
    """Facts that a survey collects about a data set."""

    layout: Layout
    images: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    samples: list[dict[str, str]] = field(default_factory=list)
    synthetic: bool = False
    examined: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    peek: dict[str, Any] | None = None
    task: Task | None = None
    rejection: str | None = None
    other: dict[str, int] = field(default_factory=dict)
    hidden: int = 0
    unlabelled: int = 0

    def reject(self, path: str, error: BadImage | RejectedPost) -> None:
        """Count a rejected file; the first are kept as examples."""
        self.rejected[error.reason] = self.rejected.get(error.reason, 0) + 1
        if len(self.examples) < EXAMPLES:
            self.examples.append({"path": path, "reason": error.reason, "message": str(error)[:300]})


def run(spec: SurveySpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> SurveyResult:
    """Survey a data set; artifact ``survey``. Raises BadInput where the data set is empty, Stopped."""
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
    """Survey a folder, write ``survey.json`` and thumbnails, and return the counts.

    Members of the archive that ``unpacked`` rejected are added to the rejected files. Raises BadInput for a folder
    without a file, and Stopped if the reporter asks to stop.
    """
    # Images and posts are read as evaluate and ingest will read them: from the folder as it is.
    folder = unwrapped(folder) if folder.is_dir() and kind == "weights" else folder
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else [folder]
    if not files:
        raise BadInput("the data set holds no file")
    target = workspace / "survey"
    (target / "thumbnails").mkdir(parents=True, exist_ok=True)
    with limited_data(files):
        layout, task = _recognised(folder, kind)
        facts = SurveyFacts(layout)
        if unpacked is not None:
            _of_archive(facts, unpacked)
        if layout == "unknown" and (kind != "posts" or source is None):
            facts.warnings.append(f"The layout of the files was not recognised; {_expected(kind)}")
        elif task is not None:
            survey_images(facts, folder, task, samples, decode, target, reporter)
        if kind == "posts":
            survey_posts(facts, folder, samples, target, reporter, source)
    content = asdict(facts) | {"task": task.model_dump(mode="json") if task is not None else None}
    (target / "survey.json").write_text(json.dumps(storable(content), indent=1) + "\n")
    reporter.artifact("survey", target)
    for warning in facts.warnings:
        reporter.log(warning, level="warning")
    return SurveyResult(
        kind=kind,
        layout=facts.layout,
        images=facts.images,
        bytes=sum(path.stat().st_size for path in files),
        files=len(files),
        classes=facts.classes,
        parts=facts.parts,
        rejected=facts.rejected,
        task=facts.task,
        rejection=facts.rejection,
        other=facts.other,
        hidden=facts.hidden,
        unlabelled=facts.unlabelled,
        warnings=tuple(facts.warnings),
        synthetic=facts.synthetic,
        examined=facts.examined,
        dropped=facts.dropped,
        source=facts.peek["source"] if facts.peek else None,
    )


def _recognised(folder: Path, kind: DataKind) -> tuple[Layout, Task | None]:
    if not folder.is_dir() and kind != "posts":
        return "weights", None
    return task_of(folder) if kind == "images" else (recognise(folder, kind), None)


def _of_archive(facts: SurveyFacts, unpacked: Unpacked) -> None:
    facts.rejected |= unpacked.rejected
    facts.examples += unpacked.examples
    if unpacked.rejected:
        facts.warnings.append(
            f"{sum(unpacked.rejected.values()):,} members of the archive were rejected for their names, such as "
            f"{unpacked.examples[0]['message']}. Rename them and pack again."
        )
    if unpacked.escaped:
        facts.warnings.append(
            f"{unpacked.escaped:,} names in the archive are not UTF-8; each such byte is written as %E9 in the file's "
            f"name: {unpacked.escaped_first}."
        )


def _expected(kind: DataKind) -> str:
    return {
        "images": "give one folder per class, or a labels.csv with path,label, or a layout of the paper's tasks.",
        "posts": "give CSV, JSON, JSONL or Parquet with images, WebDataset tar shards, or pictures with a .json each; see docs/posts.md.",
        "weights": "give a file of weights (.pth, .pt, .safetensors).",
    }[kind]
