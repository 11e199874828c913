"""How far a training of the grid is: saved with the training after an epoch, and read back by the next attempt."""

from __future__ import annotations

from typing import NamedTuple

from vise_core.training.state import SavedState
from vise_core.training.training import Training

SAVE_SECONDS = 300.0
"""Seconds between two saves: towers and optimizer are large, and an epoch of them takes minutes."""

TRAINING = "training"
"""Name in the saved state, of the facts and of the values."""


class Progress(NamedTuple):
    """How far a training is.

    Attributes
    ----------
    epoch: finished epochs.
    steps: optimizer steps in them.
    step_seconds: seconds of those steps, reading the images included (Table 9).
    seconds: seconds in all, validation included.
    diverged: whether its loss, its metric on val or a weight is not finite. Such a training ends, and is not saved.
    """

    epoch: int = 0
    steps: int = 0
    step_seconds: float = 0.0
    seconds: float = 0.0
    diverged: bool = False


def save_progress(state: SavedState, number: int, training: Training, progress: Progress) -> None:
    """Save training ``number`` of the evaluation after an epoch, beside what the state holds already."""
    facts = {"number": number, "progress": progress._asdict()}
    state.save(state.facts | {TRAINING: facts}, values={TRAINING: training.state_dict()})


def restore_progress(state: SavedState, number: int, training: Training) -> Progress:
    """Put ``training`` where it was, random states included, if training ``number`` is the one that was saved."""
    facts = state.facts.get(TRAINING)
    if facts is None or facts["number"] != number:
        return Progress()
    training.load_state_dict(state.load(TRAINING))
    return Progress(**facts["progress"])
