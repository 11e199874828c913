"""The saved state of a stage that trains, from which a stopped or killed run resumes (method 7, trap 9)."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from vise_core.errors import BadCheckpoint, Stopped
from vise_core.files.whole import whole_file
from vise_core.reporter import Reporter

FORMAT = "vise-state-1"
MANIFEST = "state.json"
CHECKPOINT_SECONDS = 30.0


class SavedState:
    """``workspace/state``: facts in ``state.json``, and files beside it that it names.

    Files are written once, under a new name each time; ``state.json`` is replaced last, by one rename. A run that is
    killed at any moment leaves the whole old state or the whole new one. ``vise_core.workspace`` checks before a stage
    starts that the state belongs to the same spec and inputs.

    Attributes
    ----------
    facts: JSON that the stage saved, such as the finished grid points; empty where nothing was saved.
    """

    def __init__(self, workspace: Path, reporter: Reporter) -> None:
        """Read the state of an earlier attempt, if there is one. Raises BadCheckpoint where it cannot be read."""
        self._folder = workspace / "state"
        self._reporter = reporter
        self._saved = time.monotonic()
        self._saves = 0
        self._files: dict[str, str] = {}
        self.facts: dict[str, Any] = {}
        path = self._folder / MANIFEST
        if not path.is_file():
            return
        try:
            manifest = json.loads(path.read_bytes())
            if manifest["format"] != FORMAT:
                raise BadCheckpoint(f"{path}: not of format {FORMAT}; delete {self._folder} to start over")
            self._saves, self._files, self.facts = manifest["saves"], manifest["files"], manifest["facts"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadCheckpoint(
                f"{path}: not a saved state ({error!r}); delete {self._folder} to start over"
            ) from error

    def file(self, name: str) -> Path:
        """Return the path of a file that was saved under ``name``. Raises KeyError if none was."""
        return self._folder / self._files[name]

    def load(self, name: str) -> dict[str, Any]:
        """Return the values saved under ``name``, with tensors on the CPU. Runs no code from the file.

        Raises KeyError if none were, and BadCheckpoint if the file cannot be read.
        """
        path = self.file(name)
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
            raise BadCheckpoint(f"{path}: not a saved state; delete {self._folder} to start over") from error
        if not isinstance(values, dict):
            raise BadCheckpoint(f"{path}: not a saved state; delete {self._folder} to start over")
        return values

    def due(self, seconds: float = CHECKPOINT_SECONDS) -> bool:
        """Return whether ``seconds`` have passed since the last save."""
        return time.monotonic() - self._saved >= seconds

    def save(
        self,
        facts: dict[str, Any],
        *,
        values: Mapping[str, Mapping[str, Any]] | None = None,
        files: Mapping[str, Path] | None = None,
        drop: Collection[str] = (),
    ) -> None:
        """Replace the facts, and add or replace files; other files of the state are kept.

        Parameters
        ----------
        facts: JSON without NaN or infinity.
        values: name → nested dicts of tensors, numbers and strings, such as a ``state_dict``, for ``load``.
        files: name → a file elsewhere in the workspace, which is moved into the state.
        drop: names of files to remove.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._saves += 1
        kept = {name: file_name for name, file_name in self._files.items() if name not in drop}
        for name, path in (files or {}).items():
            kept[name] = f"{self._saves}-{name}"
            path.replace(self._folder / kept[name])
        for name, part in (values or {}).items():
            kept[name] = f"{self._saves}-{name}.pt"
            with whole_file(self._folder / kept[name], durable=True) as path, path.open("wb") as file:
                torch.save(dict(part), file)
        manifest = {"format": FORMAT, "saves": self._saves, "files": kept, "facts": facts}
        with whole_file(self._folder / MANIFEST, durable=True) as path:
            path.write_text(json.dumps(manifest, allow_nan=False))
        for path in self._folder.iterdir():
            if path.name not in {MANIFEST, *kept.values()}:
                path.unlink()
        self._files, self.facts, self._saved = kept, facts, time.monotonic()
        self._reporter.checkpoint(self._folder)

    def raise_if_stopped(self) -> None:
        """Raise Stopped where a stop was requested. Call it after the state was saved."""
        if self._reporter.should_stop():
            raise Stopped("stopped on request; the state is saved and the run can be resumed")
