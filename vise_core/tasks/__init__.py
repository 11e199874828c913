"""Downstream tasks: readers of labelled images, and their splits (Sec. 4.3, Table 8)."""

from .labelled import load_task, open_task
from .records import LabelledImages
from .splits import Split, random_splits, require_measurable, task_splits
from .usable import RejectedImages, require_usable, unreadable_images

__all__ = [
    "LabelledImages",
    "RejectedImages",
    "Split",
    "load_task",
    "open_task",
    "random_splits",
    "require_measurable",
    "require_usable",
    "task_splits",
    "unreadable_images",
]
