"""One training: a network, its optimizer, its loss scaler and the random streams that it draws from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Training:
    """All that the steps of a training change, on one device.

    With the state of all four put back, the following steps are to the last bit those of a training that was never
    interrupted.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: torch.device

    def state_dict(self) -> dict[str, Any]:
        """Return what ``load_state_dict`` takes: ``network``, ``optimizer``, ``scaler`` and the random states."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put everything where it was when ``state`` was taken, torch's random states included."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state[
            "scaler"
        ]:  # Empty where the scaler was off: a run on auto may go on elsewhere than it began.
            self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
