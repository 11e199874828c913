"""Read files of ``torch.save``: a zip archive, or before PyTorch 1.6 several pickles followed by the data."""

from __future__ import annotations

import io
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint

from .pickled import MAX_BYTES, Dialect, External, Made, Name, read_pickle
from .stored import DTYPES, MAX_TENSORS, Storage, special, tensor_in, view
from .zipped import Members, mapped

MAGIC = 0x1950A86A20F9469CFC6C
NO_CHECKSUM = (
    "the file has no checksums, so that a damaged bit in its data would not be noticed: compare its SHA-256 with the "
    "publisher's"
)


def read_torch_zip(members: Members) -> dict[str, Any]:
    """Return the entries of a file of ``torch.save`` by name.

    Tensors are views of the file, also one level down; other values are descriptions. Raises BadCheckpoint for any
    other zip, a damaged pickle, or data in big-endian order.
    """
    pickles = [name for name in members.names if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise BadCheckpoint(_other_zip(members.names))
    root, storage = read_root(members, pickles[0], "torch")
    return entries_of(root, storage)


def read_root(members: Members, name: str, dialect: Dialect) -> tuple[Any, Storage]:
    """Return the object of an archive's pickle ``name``, and the archive's storages as views.

    Raises BadCheckpoint for a damaged pickle, or data in big-endian order.
    """
    folder = name.removesuffix("data.pkl")
    order = bytes(members.view(f"{folder}byteorder")) if f"{folder}byteorder" in members.names else b"little"
    if order != b"little":
        raise BadCheckpoint(f"its bytes are in {order[:16].decode(errors='replace')}-endian order")
    root = read_pickle(bytes(members.view(name, MAX_BYTES)), dialect)
    return root, _zip_storages(members, folder)


def _zip_storages(members: Members, folder: str) -> Storage:
    made: dict[tuple[str, torch.dtype], Tensor] = {}

    def storage(key: str, dtype: torch.dtype) -> Tensor:
        if (key, dtype) not in made:
            made[key, dtype] = values(members.view(f"{folder}data/{key}"), dtype)
        return made[key, dtype]

    return storage


def read_legacy(path: Path) -> dict[str, Any]:
    """Read a file of PyTorch before 1.6; returns what ``read_torch_zip`` does.

    Raises BadCheckpoint if ``torch.save`` did not write it, for an unknown version or byte order, and if it is damaged.
    """
    whole = mapped(path)
    start = io.BytesIO(whole[: MAX_BYTES + 1])
    if _next(start, "magic number") != MAGIC:
        raise BadCheckpoint(
            "it is a Python pickle that torch.save did not write; load it where it was made and save the state dict "
            "with torch.save"
        )
    protocol, system = _next(start, "version"), _next(start, "system")
    if protocol != 1001 or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise BadCheckpoint("it is of a version or byte order of torch.save that is not known here")
    root, keys = _next(start, "content"), _next(start, "list of its data")
    sizes: dict[str, tuple[torch.dtype, int]] = {}
    _storages_of(root, sizes)
    if (
        not isinstance(keys, list)
        or not all(isinstance(key, str) for key in keys)
        or set(keys) != sizes.keys()
    ):
        raise BadCheckpoint("its list of data is not that of its tensors: it is damaged; download it again")
    return entries_of(root, _legacy_storages(whole, start.tell(), keys, sizes))


def _legacy_storages(
    whole: mmap.mmap, at: int, keys: list[str], sizes: Mapping[str, tuple[torch.dtype, int]]
) -> Storage:
    places: dict[str, memoryview] = {}
    for key in keys:
        dtype, count = sizes[key]
        length = count * dtype.itemsize
        if at + 8 + length > len(whole):
            raise BadCheckpoint("its data ends early: it is truncated; download it again")
        if int.from_bytes(whole[at : at + 8], "little") != count or key in places:
            raise BadCheckpoint(
                "the sizes of its data contradict each other: it is damaged; download it again"
            )
        places[key] = memoryview(whole)[at + 8 : at + 8 + length]
        at += 8 + length
    if at != len(whole):
        raise BadCheckpoint("it is longer than its tensors: it is damaged; download it again")

    def storage(key: str, dtype: torch.dtype) -> Tensor:
        if sizes[key][0] != dtype:
            raise BadCheckpoint("one piece of its data has two types")
        return values(places[key], dtype)

    return storage


def _next(file: io.BytesIO, name: str) -> Any:
    try:
        return read_pickle(file, "torch")
    except BadCheckpoint as error:
        if file.tell() > MAX_BYTES:
            raise BadCheckpoint(f"its {name} is larger than it may be") from error
        raise


def _storages_of(root: Any, sizes: dict[str, tuple[torch.dtype, int]]) -> None:
    """Return the type and length of every storage that a value refers to."""
    waiting, seen = [root], set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list | tuple | Made | External):
            if id(item) in seen:
                continue
            seen.add(id(item))
        if isinstance(item, External):
            match item.id:
                case ("storage", Name(module="torch", name=kind), str(key), _, int(count), *_) if (
                    kind in DTYPES
                ):
                    pass
                case _:
                    raise BadCheckpoint("its data is described in another way than torch does")
            if not 0 <= count < 2**40 or sizes.setdefault(key, (DTYPES[kind], count)) != (
                DTYPES[kind],
                count,
            ):
                raise BadCheckpoint(
                    "the sizes of its data contradict each other: it is damaged; download it again"
                )
        elif isinstance(item, Made):
            waiting += [item.arguments, item.state]
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item


def entries_of(root: Any, storage: Storage) -> dict[str, Any]:
    """Return the named entries of a saved object, tensors as views at two levels.

    Raises BadCheckpoint if the object is no dictionary, has too many entries, or a tensor is damaged.
    """
    if not isinstance(root, dict):
        kind = "tensor" if tensor_in(root) else type(root).__name__
        raise BadCheckpoint(f"holds a {kind}, not tensors by name")
    return {
        name: _level(value, f"{name}.", storage)
        if isinstance(value, dict)
        else _entry(value, f"{name}", storage)
        for name, value in _bounded(root).items()
    }


def _level(entries: dict[Any, Any], prefix: str, storage: Storage) -> dict[Any, Any]:
    return {name: _entry(value, f"{prefix}{name}", storage) for name, value in _bounded(entries).items()}


def _bounded(entries: dict[Any, Any]) -> dict[Any, Any]:
    if len(entries) > MAX_TENSORS:
        raise BadCheckpoint(f"{len(entries):,} entries, more than any format has")
    return entries


def _entry(value: Any, name: str, storage: Storage) -> Any:
    shown = name if name.isprintable() and len(name) < 300 else repr(name)[:300]
    if (made := tensor_in(value)) is not None:
        return view(shown, made, storage)
    if (kind := special(value)) is not None:
        raise BadCheckpoint(f"{shown} is not an ordinary tensor: it is {kind}")
    return value


def values(raw: memoryview, dtype: torch.dtype) -> Tensor:
    """Return all whole values in a slice of a file, (n,) ``dtype``, as a view of it."""
    count = len(raw) // dtype.itemsize
    return torch.frombuffer(raw, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _other_zip(names: tuple[str, ...]) -> str:
    if any(name.endswith(".npy") for name in names):
        return "it is a NumPy archive (.npz), not a file of torch.save"
    if any(name.endswith(("config.json", "model.weights.h5")) for name in names):
        return "it is a Keras or model archive, not a file of torch.save"
    pickles = sum(name.rpartition("/")[2] == "data.pkl" for name in names)
    shown = ", ".join(f"{name!r:.60}" for name in names[:3]) or "nothing"
    return (
        f"it is a zip archive with {pickles} entries named data.pkl, expected one; it holds {shown}. Where the weights "
        "lie in it, unpack it and give that file"
    )
