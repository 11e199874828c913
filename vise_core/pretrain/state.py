"""The exact state of a training: saved whole, read back without running code (method 7, trap 9)."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from vise_core.errors import BadCheckpoint

FORMAT = "vise-training-1"
FILE = "training.pt"


def save_state(workspace: Path, state: dict[str, Any]) -> Path:
    """Write ``workspace/state/training.pt``; a kill at any moment leaves the one before. Returns the folder."""
    folder = workspace / "state"
    folder.mkdir(parents=True, exist_ok=True)
    # One file, so that one rename changes everything at once.
    part = workspace / f"{FILE}.part"
    with part.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / FILE)
    return folder


def load_state(workspace: Path) -> dict[str, Any] | None:
    """What ``save_state`` wrote, tensors on the CPU; None where there is nothing yet. Raises BadCheckpoint.

    That it is of this run, ``vise_core.workspace`` has seen to.
    """
    path = workspace / "state" / FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise BadCheckpoint(f"{path}: not a training state; delete it to start over") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise BadCheckpoint(f"{path}: not of format {FORMAT}; delete it to start over")
    return state
