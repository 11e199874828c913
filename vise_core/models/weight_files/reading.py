"""Read a weights file of any supported kind; the only entry point for untrusted files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vise_core.errors import BadCheckpoint

from .kinds import kind_of
from .safetensor import read_views
from .torchfile import NO_CHECKSUM, read_legacy, read_torch_zip
from .torchscript import is_torchscript, read_members
from .zipped import Members


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Tensors and other entries of a weights file.

    Attributes
    ----------
    kind: ``torchscript``, or ``torch`` for tensors by name (of ``torch.save`` or safetensors).
    entries: tensors as views of the file; mappings of them one level down.
    notes: what a user should know of the file.
    """

    kind: Literal["torch", "torchscript"]
    entries: dict[str, Any]
    notes: tuple[str, ...] = ()


def read_weights_file(path: Path) -> WeightsFile:
    """Read a weights file of any supported kind.

    Raises BadCheckpoint, which names the file and what is wrong, if it is of another kind, cannot be read or is
    damaged.
    """
    try:
        return _read(path)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error
    except OSError as error:
        raise BadCheckpoint(f"{path.name}: it cannot be read ({error.strerror})") from error
    except Exception as error:  # the file is untrusted: what its readers did not expect of it is damage
        raise BadCheckpoint(f"{path.name}: it is damaged ({error!r:.200}); download it again") from error


def _read(path: Path) -> WeightsFile:
    kind = kind_of(path)
    if kind == "safetensors":
        return WeightsFile("torch", dict(read_views(path)), (NO_CHECKSUM,))
    if kind == "legacy":
        return WeightsFile("torch", read_legacy(path), (NO_CHECKSUM,))
    members = Members(path)
    notes = () if members.checked else (NO_CHECKSUM,)
    if is_torchscript(members):
        return WeightsFile("torchscript", dict(read_members(members)), notes)
    return WeightsFile("torch", read_torch_zip(members), notes)


def plain_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a plain state dict by name, as views of the file.

    Raises BadCheckpoint for a file with any other entry.
    """
    entries = read_weights_file(path).entries
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in entries.items()):
        raise BadCheckpoint(f"{path.name}: holds something else than named tensors")
    return entries
