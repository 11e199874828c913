"""Find the networks in torchvision's names in a file: their entry and their prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from vise_core.errors import BadCheckpoint, BadInput

from .contents import Contents, Tensors

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Entries under which training scripts save a network."""
SHELLS = ("module.", "_orig_mod.")
"""What torch's own wrappers put before every name: DataParallel and DistributedDataParallel, torch.compile."""
MARKS = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight")


@dataclass(frozen=True, slots=True)
class Network:
    """A trunk in torchvision's names.

    Attributes
    ----------
    entry: of the file under which it lies; None where the file's own entries are its tensors.
    prefix: before each of its names, with its dot. level: the tensors beside which it lies, itself included.
    """

    entry: str | None
    prefix: str
    level: Tensors

    @property
    def label(self) -> str:
        """Return the name by which a user selects the network."""
        return ".".join(part for part in (self.entry, self.prefix.rstrip(".")) if part) or "."

    @property
    def trunk(self) -> Tensors:
        """Return the tensors of the trunk and its head, without the prefix."""
        return {
            name.removeprefix(self.prefix): tensor
            for name, tensor in self.level.items()
            if name.startswith(self.prefix)
        }

    @property
    def place(self) -> str:
        """Return the network's entry and prefix for messages; empty at the usual place."""
        entry = f"under the entry {self.entry!r}" if self.entry else ""
        prefix = f"below the prefix {self.prefix!r}" if self.prefix else ""
        return ", ".join(part for part in (entry, prefix) if part)


def networks(contents: Contents) -> list[Network]:
    """Return every network in torchvision's names, in the order of the file."""
    levels: list[tuple[str | None, Mapping[Any, Any]]] = [(None, contents.entries)]
    levels += [(name, value) for name, value in contents.entries.items() if isinstance(value, dict)]
    matches = []
    for entry, level in levels:
        tensors = {n: t for n, t in level.items() if isinstance(n, str) and isinstance(t, Tensor)}
        for name in tensors:
            prefix = name.removesuffix(MARKS[0])
            if name.endswith(MARKS[0]) and all(f"{prefix}{mark}" in tensors for mark in MARKS[1:]):
                matches.append(Network(entry, prefix, tensors))
    return matches


def network_of(contents: Contents, label: str | None) -> Network:
    """Return the named network, or the only one.

    Raises BadCheckpoint if the file holds none, or several and ``label`` is None; BadInput for an unknown name.
    """
    matches = networks(contents)
    labels = ", ".join(network.label for network in matches)
    if label is not None:
        for network in matches:
            if network.label == label:
                return network
        raise BadInput(f"network: there is no {label!r} in the file; it holds {labels or 'no ResNet'}")
    if len(matches) > 1:
        raise BadCheckpoint(
            f"it holds {len(matches)} networks in torchvision's names; say which with --network: {labels}"
        )
    if not matches:
        raise BadCheckpoint(f"no ResNet in torchvision's names in it, but {contents.summary()}")
    return matches[0]


def only_network(contents: Contents) -> Tensors:
    """Return the trunk of the file's only network; empty where there is none or several."""
    matches = networks(contents)
    return matches[0].trunk if len(matches) == 1 else {}


@dataclass(frozen=True, slots=True)
class Peeled:
    """The contents of a file without the wrappers of training scripts; ``beside`` holds the entries left out."""

    contents: Contents
    beside: Mapping[str, Any]
    notes: tuple[str, ...]


def peeled(contents: Contents) -> Peeled:
    """Remove a usual wrapper and a prefix that all names share, where the file has them."""
    notes: tuple[str, ...] = ()
    beside: dict[str, Any] = {}
    tensors = contents.plain
    if tensors is None:
        wrappers = [name for name in WRAPPERS if contents.wrapped(name)]
        if len(wrappers) != 1:
            return Peeled(contents, {}, ())
        (entry,) = wrappers
        tensors = contents.wrapped(entry) or {}
        beside = {name: value for name, value in contents.entries.items() if name != entry}
        if any(isinstance(value, Tensor) for value in beside.values()):
            return Peeled(contents, {}, ())
        notes = (f"the network lies under the entry {entry!r}",)
    for shell in SHELLS:
        if all(name.startswith(shell) for name in tensors):
            tensors = {name.removeprefix(shell): tensor for name, tensor in tensors.items()}
            notes = (*notes, f"the prefix {shell!r} before every name was left off")
    return Peeled(replace(contents, entries=tensors), beside, notes)
