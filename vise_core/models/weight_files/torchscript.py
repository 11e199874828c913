"""Read the tensors of a TorchScript archive without loading its code.

An archive is a zip: ``<name>/data.pkl`` describes the object tree, ``<name>/data/<key>`` holds the bytes of each
tensor, ``<name>/code/`` the programs, which are never opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from vise_core.errors import BadCheckpoint

from .pickled import Made
from .stored import MAX_TENSORS, REBUILD, view
from .torchfile import read_root
from .zipped import Members

MAX_DEPTH = 64


def is_torchscript(members: Members) -> bool:
    """Return True for a TorchScript archive: only these hold code and constants beside the data."""
    return any(name.endswith("/constants.pkl") for name in members.names)


def read_archive(path: Path) -> dict[str, Tensor]:
    """Read the tensors of an archive by file path, as ``read_members`` does.

    Raises BadCheckpoint, naming the file, as it does.
    """
    try:
        return read_members(Members(path))
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path.name}: {error}") from error


def read_members(members: Members) -> dict[str, Tensor]:
    """Return the tensors of an archive's module by dotted name, as views of the file.

    These are parameters, buffers (as in ``state_dict``) and tensors that are plain attributes, each in its shape and
    dtype. Raises BadCheckpoint if the archive is damaged, or its data are in big-endian order.
    """
    pickles = [name for name in members.names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise BadCheckpoint(f"a TorchScript archive with {len(pickles)} entries named data.pkl, expected one")
    root, storage = read_root(members, pickles[0], "torchscript")
    return {name: view(name, made, storage) for name, made in tensors_of(root).items()}


def tensors_of(root: Any) -> dict[str, Made]:
    """Return the descriptions of all tensors below an object, by dotted name.

    Raises BadCheckpoint for too many or too deeply nested objects.
    """
    modules: dict[str, Made] = {}
    seen, waiting = 0, [("", root, 0)]
    while waiting:
        prefix, item, depth = waiting.pop()
        if not isinstance(item, Made) or not isinstance(item.state, dict):
            continue
        for name, value in item.state.items():
            dotted = f"{prefix}{name}"
            # The same object may hang in several places: without a limit, a small file has no end of names.
            seen += 1
            if (
                seen > 50 * MAX_TENSORS
                or len(modules) > MAX_TENSORS
                or depth > MAX_DEPTH
                or len(dotted) > 500
            ):
                raise BadCheckpoint("too many or too deeply nested objects")
            if isinstance(value, Made) and value.function == REBUILD:
                modules[dotted] = value
            else:
                waiting.append((f"{dotted}.", value, depth + 1))
    return modules
