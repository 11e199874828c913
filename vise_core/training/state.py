"""What an evaluation goes on from after it was stopped or killed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vise_core.errors import Stopped
from vise_core.reporter import Reporter

CHECKPOINT_SECONDS = 30.0


class State:
    """``workspace/state``: ``state.json`` and files beside it, always replaced as a whole.

    Attributes
    ----------
    facts: JSON of the protocol's own, such as the finished grid points.
    """

    def __init__(self, workspace: Path, reporter: Reporter) -> None:
        """Read the state of an earlier attempt, if there is one; ``vise_core.workspace`` sees that it is of this run."""
        self._folder, self._old = workspace / "state", workspace / "state.old"
        self._next = workspace / "state.next"
        self._reporter = reporter
        # A crash between the two renames of save leaves only the older state.
        if not self._folder.exists() and self._old.exists():
            self._old.rename(self._folder)
        for leftover in (self._old, self._next):
            shutil.rmtree(leftover, ignore_errors=True)
        self.facts: dict[str, Any] = {}
        self._saved = time.monotonic()
        path = self._folder / "state.json"
        if path.is_file():
            self.facts = json.loads(path.read_text())["facts"]
        if not self.facts:
            shutil.rmtree(self._folder, ignore_errors=True)

    def file(self, name: str) -> Path:
        """A file of the saved state; it need not exist."""
        return self._folder / name

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Tensors saved under a name."""
        return load_file(self.file(f"{name}.safetensors"))

    def due(self, seconds: float | None = None) -> bool:
        """Whether it is time to save again: so long after the last time, CHECKPOINT_SECONDS unless told otherwise."""
        return time.monotonic() - self._saved >= (CHECKPOINT_SECONDS if seconds is None else seconds)

    def save(
        self,
        facts: dict[str, Any],
        *,
        tensors: dict[str, dict[str, Tensor]] | None = None,
        moved: dict[str, Path] | None = None,
        drop: Collection[str] = (),
    ) -> None:
        """Replace the state: new facts, new or replaced files; the other files stay as they are.

        ``moved`` are files elsewhere in the workspace that become part of the state, ``drop`` names of tensors that
        are not needed any more.
        """
        self._next.mkdir()
        for path in self._folder.glob("*") if self._folder.exists() else ():
            # A link costs nothing; written files are never changed in place.
            if path.name not in {f"{name}.safetensors" for name in drop}:
                os.link(path, self._next / path.name)
        for name, path in (moved or {}).items():
            path.replace(self._next / name)
        for name, values in (tensors or {}).items():
            (self._next / f"{name}.safetensors").unlink(missing_ok=True)
            plain = {key: value.detach().cpu().contiguous() for key, value in values.items()}
            save_file(plain, self._next / f"{name}.safetensors")
        (self._next / "state.json").unlink(missing_ok=True)
        (self._next / "state.json").write_text(json.dumps({"facts": facts}, allow_nan=False))
        if self._folder.exists():
            self._folder.rename(self._old)
        self._next.rename(self._folder)
        shutil.rmtree(self._old, ignore_errors=True)
        self.facts, self._saved = facts, time.monotonic()
        self._reporter.checkpoint(self._folder)

    def raise_if_stopped(self) -> None:
        """Raises Stopped once the run is to stop; call when all that matters is saved."""
        if self._reporter.should_stop():
            raise Stopped("stopped on request; the state is saved and the run can be resumed")


def to_tensor(values: np.ndarray) -> Tensor:
    """A tensor of its own from an array."""
    return torch.from_numpy(np.array(values))
