"""What lies in a file that somebody published, read without running any of it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint

from ..card import CheckpointCard
from ..checkpoint import load_card
from ..tensors import read_tensors
from .torchscript import is_archive, read_archive

Tensors = Mapping[str, Tensor]
Kind = Literal["torch", "torchscript", "folder"]
MAX_NAMES = 20_000
MAX_NAME_LENGTH = 500
CARD_FILE, BACKBONE_FILE, HEADS = "checkpoint.json", "backbone.safetensors", "heads."


@dataclass(frozen=True, slots=True)
class Contents:
    """A checkpoint file as it is.

    Attributes
    ----------
    kind: ``torch`` (torch.save), ``torchscript``, or ``folder`` (our own checkpoints).
    entries: what the file holds by name: tensors, or where they are wrapped, a mapping of tensors among others.
        Of a folder: the backbone's tensors, and the heads' with ``heads.`` before their names.
    card: of a folder, what its ``checkpoint.json`` says.
    """

    kind: Kind
    path: Path
    entries: Mapping[str, Any]
    card: CheckpointCard | None = None

    @property
    def weights_file(self) -> Path:
        """The file that the trunk's tensors lie in."""
        return self.path / BACKBONE_FILE if self.kind == "folder" else self.path

    @property
    def plain(self) -> Tensors | None:
        """The entries where all are tensors; None else."""
        return self.entries if self.entries and _all_tensors(self.entries) else None

    def wrapped(self, name: str) -> Tensors | None:
        """The tensors under an entry; None where there is no such entry or it holds anything else."""
        found = self.entries.get(name)
        return found if isinstance(found, dict) and found and _all_tensors(found) else None

    def summary(self) -> str:
        """For errors: what there is."""
        names = ", ".join(list(self.entries)[:4])
        more = ", …" if len(self.entries) > 4 else ""
        return f"{len(self.entries)} entries: {names}{more}"


def read_contents(path: Path) -> Contents:
    """Raises BadCheckpoint for a file that is none, or that only code could read."""
    if path.is_dir():
        return _read_folder(path)
    if is_archive(path):
        return Contents("torchscript", path, _checked(path, read_archive(path)))
    return Contents("torch", path, _checked(path, _read_torch(path)))


def _read_folder(path: Path) -> Contents:
    if not (path / CARD_FILE).is_file():
        raise BadCheckpoint(
            f"{path.name}: a folder without {CARD_FILE}; give a file, or a checkpoint folder of our own"
        )
    entries = dict(read_tensors(path / BACKBONE_FILE))
    entries |= {f"{HEADS}{name}": t for name, t in read_tensors(path / "heads.safetensors").items()}
    return Contents("folder", path, _checked(path, entries), load_card(path))


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{path.name}: there is no such file") from error
    except Exception as error:  # an untrusted file can make the parser fail in any way
        # torch's message explains how to switch the protection off; its first line is enough here.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = "holds more than plain tensors" if zipfile.is_zipfile(path) else "is no file of tensors"
        raise BadCheckpoint(
            f"{path.name}: {what}, and nothing in it was run ({reason}). Where it needs its authors' code, load it "
            "there and save the state dict alone"
        ) from error
    if not isinstance(loaded, dict):
        raise BadCheckpoint(f"{path.name}: holds a {type(loaded).__name__}, not tensors by name")
    return dict(loaded)


def _checked(path: Path, entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """Names that can be shown and tensors that can be computed with, at every level that a format looks at."""
    for level in (entries, *(v for v in entries.values() if isinstance(v, dict) and _all_tensors(v))):
        if len(level) > MAX_NAMES:
            raise BadCheckpoint(f"{path.name}: {len(level):,} entries, more than any format has")
        for name, value in level.items():
            if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or not name.isprintable():
                raise BadCheckpoint(f"{path.name}: an entry whose name is no name: {name!r:.100}")
            if isinstance(value, Tensor) and not _ordinary(value):
                raise BadCheckpoint(
                    f"{path.name}: {name} is not an ordinary tensor ({value.layout}, {value.device})"
                )
    return entries


def _all_tensors(entries: Mapping[Any, Any]) -> bool:
    return all(isinstance(value, Tensor) for value in entries.values())


def _ordinary(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
