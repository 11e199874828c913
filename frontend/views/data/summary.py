"""A data set in short: its kind, state and counts."""

from __future__ import annotations

from frontend.formatting import size
from vise_client.schemas.datasets import DatasetVersionView, DatasetView
from vise_client.schemas.run_states import RunState
from vise_core.specs.survey import SurveyResult

KINDS = {"images": "Labelled images", "posts": "Posts", "weights": "Weights"}


def kind_and_badges(data_set: DatasetView) -> str:
    """Return Markdown of the kind, with badges for the state and the version."""
    badges = {
        "arriving": " :blue-badge[:material/downloading: importing]",
        "failed": " :red-badge[:material/error: import failed]",
    }.get(data_set.state, "")
    if data_set.version is not None:
        badges += f" :gray-badge[version {data_set.version.number}]"
    return f"{KINDS.get(data_set.kind, data_set.kind)}{badges}"


def counts(data_set: DatasetView) -> str:
    """Return the counts of the newest version as text, or why there are none yet."""
    if data_set.survey is not None:
        return _counts(data_set.survey)
    if data_set.reason:
        return data_set.reason
    if data_set.survey_state is RunState.failed:
        return "the survey failed"
    if data_set.survey_state is RunState.cancelled:
        return "the survey was cancelled"
    return "survey in progress" if data_set.survey_state is not None else "not surveyed yet"


def version_counts(version: DatasetVersionView) -> str:
    """Return the counts of a version as text: ``120 images · 5 classes · 121 files · 3.4 MiB``."""
    if version.survey is not None:
        return _counts(version.survey, layout=False)
    return f"{version.files:,} files · {size(version.bytes)}"


def _counts(survey: SurveyResult, *, layout: bool = True) -> str:
    unit = "posts" if survey.kind == "posts" else "images"
    parts = [f"{survey.images:,} {unit}"] if survey.kind != "weights" else []
    if survey.classes:
        parts.append(f"{len(survey.classes):,} classes")
    parts += [f"{part} {count:,}" for part, count in survey.parts.items()]
    parts += [f"{survey.files:,} files", size(survey.bytes)]
    if layout:
        parts.append(f"layout {survey.layout.replace('_', ' ')}")
    return " · ".join(parts)
