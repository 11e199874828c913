"""Names of splits in folders and columns."""

from __future__ import annotations

from vise_core.specs.tasks.splits import SplitName

SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""A split's name in lower case → the split."""
