"""The tensors of a TorchScript archive, without TorchScript: its code is not loaded, let alone run.

An archive is a zip: ``<name>/data.pkl`` describes the object tree, ``<name>/data/<key>`` holds each tensor's
bytes, ``<name>/code/`` the programs, which are never opened.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint

from .pickled import External, Made, Name, read_pickle

MAX_PICKLE_BYTES = 64 * 2**20
MAX_TENSORS = 20_000
MAX_DEPTH = 64

DTYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
REBUILD = Name("torch._utils", "_rebuild_tensor_v2")


def is_archive(path: Path) -> bool:
    """Whether it is a TorchScript archive: only these hold code and constants beside the data."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def read_archive(path: Path) -> dict[str, Tensor]:
    """Every tensor of the archive's module by its dotted name, on the CPU. Raises BadCheckpoint.

    These are parameters and buffers, as ``state_dict`` gives them, and tensors that are plain attributes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, path.stat().st_size).tensors()
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: a TorchScript archive that cannot be read: {error}") from error
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise BadCheckpoint(f"{path.name}: a damaged TorchScript archive ({error})") from error


class _Archive:
    """Reads each entry once. Tensors are views of it, so that memory is bounded by the file's size."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive, self._left = archive, size
        self._storages: dict[tuple[str, torch.dtype], Tensor] = {}

    def tensors(self) -> dict[str, Tensor]:
        names = self._archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise BadCheckpoint(f"{len(pickles)} entries named data.pkl, expected one")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in names and (order := self._bytes(f"{folder}byteorder")) != b"little":
            raise BadCheckpoint(f"its bytes are in {order[:16].decode(errors='replace')}-endian order")
        root = read_pickle(self._bytes(pickles[0], MAX_PICKLE_BYTES))
        return {name: self._tensor(name, made, folder) for name, made in tensors_of(root).items()}

    def _bytes(self, name: str, limit: int | None = None) -> bytes:
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise BadCheckpoint(f"no entry {name}") from error
        # torch stores data as it is, so that it can be mapped; what is compressed could be a bomb.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BadCheckpoint(f"{name} is compressed, which torch does not do")
        self._left -= info.file_size
        if self._left < 0 or (limit is not None and info.file_size > limit):
            raise BadCheckpoint(f"{name} is larger than it may be")
        return self._archive.read(info)

    def _storage(self, name: str, dtype: torch.dtype) -> Tensor:
        if (name, dtype) not in self._storages:
            raw = bytearray(self._bytes(name))
            whole = raw[: len(raw) - len(raw) % dtype.itemsize]
            self._storages[name, dtype] = (
                torch.frombuffer(whole, dtype=dtype) if whole else torch.empty(0, dtype=dtype)
            )
        return self._storages[name, dtype]

    def _tensor(self, name: str, made: Made, folder: str) -> Tensor:
        match made.arguments:
            case (
                External(id=("storage", Name(module="torch", name=kind), str(key), _, _)),
                int(offset),
                tuple(shape),
                tuple(stride),
                *_,
            ) if kind in DTYPES and len(shape) == len(stride):
                pass
            case _:
                raise BadCheckpoint(f"{name} is described in another way than torch does")
        if not all(type(n) is int and 0 <= n < 2**40 for n in (*shape, *stride, offset)):
            raise BadCheckpoint(f"{name} has shape {shape} with strides {stride}")
        storage = self._storage(f"{folder}data/{key}", DTYPES[kind])
        elements = math.prod(shape)
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        # Not more elements than there are bytes for, whatever the strides say.
        if elements and (elements > len(storage) or last >= len(storage)):
            raise BadCheckpoint(f"{name} of shape {shape} is larger than its data")
        return storage.as_strided(shape, stride, offset if elements else 0)


def tensors_of(root: Any) -> dict[str, Made]:
    """The descriptions of all tensors below an object, by dotted name. Raises BadCheckpoint."""
    found: dict[str, Made] = {}
    seen, waiting = 0, [("", root, 0)]
    while waiting:
        prefix, item, depth = waiting.pop()
        if not isinstance(item, Made) or not isinstance(item.state, dict):
            continue
        for name, value in item.state.items():
            dotted = f"{prefix}{name}"
            # The same object may hang in several places: without a limit, a small file has no end of names.
            seen += 1
            if seen > 50 * MAX_TENSORS or len(found) > MAX_TENSORS or depth > MAX_DEPTH or len(dotted) > 500:
                raise BadCheckpoint("too many or too deeply nested objects")
            if isinstance(value, Made) and value.what == REBUILD:
                found[dotted] = value
            else:
                waiting.append((f"{dotted}.", value, depth + 1))
    return found
