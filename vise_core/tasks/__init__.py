"""Downstream tasks: labelled images of the user's own, and how they are split (Sec. 4.3, Table 8)."""

from .labelled import load_task, require_readable
from .records import LabelledImages
from .splits import Split, random_splits, require_measurable, task_splits

__all__ = [
    "LabelledImages",
    "Split",
    "load_task",
    "random_splits",
    "require_measurable",
    "require_readable",
    "task_splits",
]
