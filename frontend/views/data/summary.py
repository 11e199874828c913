"""What lists and pages say of a data set: its kind, its state, its counts."""

from __future__ import annotations

from frontend.formatting import size
from vise_client.schemas.datasets import DatasetVersionView, DatasetView
from vise_client.schemas.run_states import RunState
from vise_core.specs.survey import SurveyResult

KINDS = {"images": "Labelled images", "posts": "Posts", "weights": "Weights"}


def kind_and_marks(one: DatasetView) -> str:
    """Markdown: the kind, with badges for the version and for what needs attention."""
    marks = _state_badge(one)
    if one.version is not None:
        marks += f" :gray-badge[version {one.version.number}]"
    return f"{KINDS.get(one.kind, one.kind)}{marks}"


def counts(one: DatasetView) -> str:
    """What the survey of the newest version counted; why there is nothing yet."""
    if one.found is not None:
        return _counts(one.found)
    if one.reason:
        return one.reason
    if one.survey_state is RunState.failed:
        return "its survey failed"
    if one.survey_state is RunState.cancelled:
        return "its survey was cancelled"
    return "being surveyed" if one.survey_state is not None else "not surveyed yet"


def version_counts(version: DatasetVersionView) -> str:
    """``120 images · 5 classes · 121 files · 3.4 MiB``."""
    if version.found is not None:
        return _counts(version.found, layout=False)
    return f"{version.files:,} files · {size(version.bytes)}"


def _state_badge(one: DatasetView) -> str:
    if one.state == "arriving":
        return " :blue-badge[:material/downloading: on its way]"
    return " :red-badge[:material/error: could not be brought in]" if one.state == "failed" else ""


def _counts(found: SurveyResult, *, layout: bool = True) -> str:
    what = "posts" if found.kind == "posts" else "images"
    parts = [f"{found.images:,} {what}"] if found.kind != "weights" else []
    if found.classes:
        parts.append(f"{len(found.classes):,} classes")
    parts += [f"{part} {count:,}" for part, count in found.parts.items()]
    parts += [f"{found.files:,} files", size(found.bytes)]
    if layout:
        parts.append(f"layout {found.layout.replace('_', ' ')}")
    return " · ".join(parts)
