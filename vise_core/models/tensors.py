"""Tensors from files that nobody vouches for: read without running code, matched key by key."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vise_core.errors import BadCheckpoint, Diverged

MAX_JSON_BYTES = 16 * 2**20


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file; the same tensors give the same bytes. Raises Diverged where one is not finite."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Diverged(
                f"{path.name}: {name} holds NaN or infinity; a network that diverged is not written"
            )
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises BadCheckpoint where it is none."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise BadCheckpoint(
            f"{path.parent}: no {path.name}; the folder is not whole, copy it again"
        ) from error
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise BadCheckpoint(f"{path.name}: not a safetensors file ({error})") from error


def read_torch_tensors(path: Path) -> dict[str, Tensor]:
    """A plain state dict that ``torch.save`` wrote; a pickle with anything but tensors in it is refused.

    Raises BadCheckpoint.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        # torch's message explains how to switch the protection off; its first line is enough here.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadCheckpoint(
            f"{path.name}: not a file of plain tensors, it was not loaded ({reason})"
        ) from error
    if not isinstance(loaded, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in loaded.items()
    ):
        raise BadCheckpoint(f"{path.name}: holds something else than named tensors")
    return dict(loaded)


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    """Raise BadCheckpoint unless names, shapes and types are exactly those expected and all is finite."""
    missing, unexpected = expected.keys() - tensors.keys(), tensors.keys() - expected.keys()
    if missing or unexpected:
        raise BadCheckpoint(
            f"{source}: {len(missing)} tensors missing{_examples(missing)}, "
            f"{len(unexpected)} unexpected{_examples(unexpected)}; is it of another backbone?"
        )
    for name, tensor in tensors.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape:
            raise BadCheckpoint(
                f"{source}: {name} has shape {tuple(tensor.shape)}, expected {tuple(wanted.shape)}"
            )
        if tensor.dtype != wanted.dtype:
            raise BadCheckpoint(f"{source}: {name} is {tensor.dtype}, expected {wanted.dtype}")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadCheckpoint(f"{source}: {name} holds NaN or infinity; the training behind it diverged")


def fill(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Give a module (perhaps on the meta device) exactly these tensors. Raises BadCheckpoint."""
    check_tensors(tensors, module.state_dict(), source)
    module.load_state_dict(dict(tensors), assign=True)


def read_json(path: Path, expected_format: str) -> dict[str, Any]:
    """A JSON object whose ``format`` is as expected. Raises BadCheckpoint."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadCheckpoint(f"{path.name}: larger than {MAX_JSON_BYTES:,} bytes")
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BadCheckpoint(
            f"{path.parent}: no {path.name}; the folder is not whole, copy it again"
        ) from error
    except (ValueError, OSError, RecursionError) as error:
        raise BadCheckpoint(f"{path.name}: not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != expected_format:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise BadCheckpoint(f"{path.name}: format is {found!r}, expected {expected_format!r}")
    return content


def _examples(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:3])
    return f" ({shown}{', …' if len(names) > 3 else ''})" if names else ""
