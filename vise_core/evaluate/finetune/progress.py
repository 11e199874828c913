"""Progress of a training of the grid: saved with the training after an epoch, and restored by the next attempt."""

from __future__ import annotations

from typing import NamedTuple

from vise_core.training.state import SavedState
from vise_core.training.training import Training

SAVE_SECONDS = 300.0
"""Seconds between two saves: towers and optimizer are large, and an epoch of them takes minutes."""

TRAINING = "training"
"""Name of a training's facts and values in the saved state."""


class Progress(NamedTuple):
    """Finished epochs, steps and seconds of a training.

    Attributes
    ----------
    epoch: finished epochs.
    steps: optimizer steps in them.
    step_seconds: seconds of those steps, reading the images included (Table 9).
    seconds: all seconds, validation included.
    diverged: whether its loss, its metric on val or a weight is not finite. Such a training ends without being saved.
    """

    epoch: int = 0
    steps: int = 0
    step_seconds: float = 0.0
    seconds: float = 0.0
    diverged: bool = False


def save_progress(state: SavedState, number: int, training: Training, progress: Progress) -> None:
    """Add training ``number`` of the evaluation, after an epoch, to the saved state."""
    facts = {"number": number, "progress": progress._asdict()}
    state.save(state.facts | {TRAINING: facts}, values={TRAINING: training.state_dict()})


def restore_progress(state: SavedState, number: int, training: Training) -> Progress:
    """Restore ``training``, random states included, where training ``number`` was saved; return its progress."""
    facts = state.facts.get(TRAINING)
    if facts is None or facts["number"] != number:
        return Progress()
    training.load_state_dict(state.load(TRAINING))
    return Progress(**facts["progress"])
