"""Read the contents of a published checkpoint without running code in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vise_core.errors import BadCheckpoint
from vise_core.formats.checkpoint import (
    BACKBONE_FILE,
    CARD_FILE,
    HEADS_FILE,
    CheckpointCard,
    read_checkpoint_card,
)
from vise_core.models.weight_files.reading import read_weights_file
from vise_core.models.weight_files.safetensor import read_views

Tensors = Mapping[str, Tensor]
Kind = Literal["torch", "torchscript", "folder"]
MAX_NAMES = 20_000
MAX_NAME_LENGTH = 500
HEADS = "heads."


@dataclass(frozen=True, slots=True)
class Contents:
    """The unmodified contents of a checkpoint file or folder.

    Attributes
    ----------
    kind: ``torch`` (torch.save), ``torchscript``, or ``folder`` (our own checkpoints).
    entries: what the file holds by name: tensors, or where they are wrapped, a mapping of tensors among others.
        Of a folder: the backbone's tensors, and the heads' with ``heads.`` before their names.
    card: of a folder, what its ``checkpoint.json`` says. notes: what a user should know of the file.
    """

    kind: Kind
    path: Path
    entries: Mapping[str, Any]
    card: CheckpointCard | None = None
    notes: tuple[str, ...] = ()

    @property
    def weights_file(self) -> Path:
        """Return the file that holds the trunk's tensors."""
        return self.path / BACKBONE_FILE if self.kind == "folder" else self.path

    @property
    def plain(self) -> Tensors | None:
        """Return the entries if all are tensors, else None."""
        return self.entries if self.entries and _all_tensors(self.entries) else None

    def wrapped(self, name: str) -> Tensors | None:
        """Return the tensors under an entry; None where the entry is missing or holds anything else."""
        entry = self.entries.get(name)
        return entry if isinstance(entry, dict) and entry and _all_tensors(entry) else None

    def summary(self) -> str:
        """Return a short list of the entries, for error messages."""
        names = ", ".join(list(self.entries)[:4])
        more = ", …" if len(self.entries) > 4 else ""
        return f"{len(self.entries)} entries: {names}{more}"


def read_contents(path: Path) -> Contents:
    """Read a checkpoint; tensors are views of the file. Raises BadCheckpoint for another kind of file."""
    if path.is_dir():
        return _read_folder(path)
    read = read_weights_file(path)
    return Contents(read.kind, path, _checked(path, read.entries), notes=read.notes)


def _read_folder(path: Path) -> Contents:
    if not (path / CARD_FILE).is_file():
        raise BadCheckpoint(
            f"{path.name}: a folder without {CARD_FILE}; give a file, or a checkpoint folder of our own"
        )
    entries: dict[str, Any] = dict(_views(path / BACKBONE_FILE))
    entries |= {f"{HEADS}{name}": tensor for name, tensor in _views(path / HEADS_FILE).items()}
    return Contents("folder", path, _checked(path, entries), read_checkpoint_card(path))


def _views(path: Path) -> dict[str, Tensor]:
    try:
        return read_views(path)
    except FileNotFoundError as error:
        raise BadCheckpoint(
            f"{path.parent}: no {path.name}; the folder is not whole, copy it again"
        ) from error
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error


def _checked(path: Path, entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reject unprintable names and unusable tensors, at every level that a format reads."""
    for level in (entries, *(v for v in entries.values() if isinstance(v, dict) and _all_tensors(v))):
        if len(level) > MAX_NAMES:
            raise BadCheckpoint(f"{path.name}: {len(level):,} entries, more than any format has")
        for name in level:
            if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or not name.isprintable():
                raise BadCheckpoint(f"{path.name}: an entry whose name is no name: {name!r:.100}")
    return entries


def _all_tensors(entries: Mapping[Any, Any]) -> bool:
    return all(isinstance(value, Tensor) for value in entries.values())
