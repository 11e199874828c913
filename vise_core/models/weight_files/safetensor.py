"""Read safetensors: the header is checked and the data mapped. The format has no checksum of its data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vise_core.errors import BadCheckpoint

from .stored import MAX_TENSORS
from .torchfile import values
from .zipped import mapped

MAX_HEADER_BYTES = 16 * 2**20
DTYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Stated:
    """The description of a tensor in the header."""

    shape: torch.Size
    dtype: torch.dtype
    start: int
    end: int


def read_header(path: Path) -> tuple[dict[str, Stated], int]:
    """Return (descriptions of the tensors, offset of the data).

    Raises BadCheckpoint if the file is not whole, its header is too long or lists too many tensors, or a dtype is
    unknown.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > MAX_HEADER_BYTES:
            raise BadCheckpoint("not a safetensors file (its header is longer than it may be)")
        if 8 + length > size:
            raise BadCheckpoint("a safetensors file that is truncated in its header; download it again")
        raw = file.read(length)
    try:
        # Its own parser checks that sizes agree with shapes and that data neither overlaps nor has gaps.
        with safe_open(path, "pt"):
            pass
        header = json.loads(raw)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        why = _one_line(error)
        problem = "truncated or damaged; download it again" if "incomplete" in why.lower() else "damaged"
        raise BadCheckpoint(f"not a safetensors file, or it is {problem} ({why})") from error
    stated = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in DTYPES:
            raise BadCheckpoint(f"{name!r:.100} is of type {entry['dtype']!s:.20}, which no network here has")
        start, end = entry["data_offsets"]
        stated[name] = Stated(torch.Size(entry["shape"]), DTYPES[entry["dtype"]], start, end)
    if len(stated) > MAX_TENSORS:
        raise BadCheckpoint(f"{len(stated):,} entries, more than any format has")
    return stated, 8 + length


def read_views(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name, in the shapes and dtypes of the header, as views of the mapped file.

    Raises BadCheckpoint as ``read_header`` does.
    """
    stated, begin = read_header(path)
    if not stated:
        return {}
    whole = memoryview(mapped(path))
    return {
        name: values(
            whole[begin + stated_tensor.start : begin + stated_tensor.end], stated_tensor.dtype
        ).view(stated_tensor.shape)
        for name, stated_tensor in stated.items()
    }


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
