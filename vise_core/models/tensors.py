"""Read tensors from untrusted files without running code, and match them key by key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vise_core.errors import BadCheckpoint, Diverged
from vise_core.models.weight_files.safetensor import read_header


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any shape and dtype to a safetensors file; equal tensors give equal bytes.

    Raises Diverged for a tensor that is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Diverged(
                f"{path.name}: {name} holds NaN or infinity; a network that diverged is not written"
            )
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path)


def load_into(module: nn.Module, path: Path) -> None:
    """Fill a module (perhaps on the meta device) from a safetensors file of exactly its tensors.

    Names, shapes and types are compared with the file's header before any data is read. Raises BadCheckpoint, naming
    the file, if it is missing or damaged, or if a name, shape, type or value does not fit.
    """
    try:
        check_layout(read_header(path)[0], module.state_dict(), path.name)
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{path.parent}: no {path.name}; copy the folder whole") from error
    except (BadCheckpoint, SafetensorError, OSError, KeyError, ValueError) as error:
        message = str(error).removeprefix(f"{path.name}: ")
        raise BadCheckpoint(f"{path.name}: {message}: copy the folder again") from error
    fill(module, tensors, path.name)


class Shaped(Protocol):
    """Protocol of objects with a shape and a type: a tensor, or its description in a file header."""

    @property
    def shape(self) -> torch.Size: ...

    @property
    def dtype(self) -> torch.dtype: ...


def check_layout(
    tensors: Mapping[str, Shaped], expected: Mapping[str, Shaped], source: str, *, types: bool = True
) -> None:
    """Raise BadCheckpoint unless names, shapes and types are exactly as expected. Values are not read."""
    missing, unexpected = expected.keys() - tensors.keys(), tensors.keys() - expected.keys()
    if missing or unexpected:
        raise BadCheckpoint(
            f"{source}: {len(missing)} tensors missing{_examples(missing)}, "
            f"{len(unexpected)} unexpected{_examples(unexpected)}; is it of another backbone?"
        )
    for name, tensor in tensors.items():
        reference = expected[name]
        if tensor.shape != reference.shape:
            raise BadCheckpoint(
                f"{source}: {name} has shape {tuple(tensor.shape)}, expected {tuple(reference.shape)}"
            )
        if types and tensor.dtype != reference.dtype:
            raise BadCheckpoint(f"{source}: {name} is {tensor.dtype}, expected {reference.dtype}")


def check_values(tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise BadCheckpoint, naming ``source`` and the tensor, for impossible values: NaN, infinity, a negative variance."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        if not bool(torch.isfinite(tensor).all()):
            raise BadCheckpoint(f"{source}: {name} holds NaN or infinity; the training behind it diverged")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise BadCheckpoint(
                f"{source}: {name} holds {float(tensor.min()):.4g}; a variance is never negative, the file is damaged"
            )


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    """Raise BadCheckpoint unless names, shapes and types are exactly as expected and all values are possible."""
    check_layout(tensors, expected, source)
    check_values(tensors, source)


def fill(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Fill a module (perhaps on the meta device) with exactly these tensors.

    Raises BadCheckpoint, naming ``source``, if a name, shape, dtype or value does not fit.
    """
    check_tensors(tensors, module.state_dict(), source)
    module.load_state_dict(dict(tensors), assign=True)


def _examples(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:3])
    return f" ({shown}{', …' if len(names) > 3 else ''})" if names else ""
