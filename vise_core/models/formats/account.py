"""Every key of a file accounted for: it is mapped, or dropped by a rule, or the file is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint

from ..backbones import Backbone, empty_backbone
from ..tensors import fill
from .contents import Contents, Tensors
from .format import Drop, Format

COUNTER = ".num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Account:
    """What became of each key.

    Attributes
    ----------
    trunk: tensors by the trunk's names, values as in the file.
    dropped: what was left out, by the file's name. rules: one line for each rule that left something out.
    """

    trunk: Tensors
    dropped: Mapping[str, Any]
    rules: tuple[str, ...]


def account(layout: Format, contents: Contents) -> Account:
    """Sort the keys of a file of this format. Raises BadCheckpoint for one that no rule knows."""
    if contents.kind not in layout.kinds:
        raise BadCheckpoint(f"not {layout.title}: it is a {contents.kind} file or folder")
    beside: Mapping[str, Any] = {}
    tensors = contents.plain
    if layout.wrapper is not None:
        tensors = contents.wrapped(layout.wrapper)
        beside = {name: value for name, value in contents.entries.items() if name != layout.wrapper}
    if tensors is None:
        where = f"under the entry {layout.wrapper!r}" if layout.wrapper else "by name"
        raise BadCheckpoint(f"not {layout.title}: no tensors {where}, but {contents.summary()}")
    dropped, rules = _drop(layout, tensors, layout.drops)
    dropped_beside, rules_beside = _drop(layout, beside, layout.beside)
    names = layout.names([name for name in tensors if name not in dropped])
    unknown = (tensors.keys() - dropped.keys() - names.keys()) | (beside.keys() - dropped_beside.keys())
    if unknown:
        raise BadCheckpoint(
            f"not {layout.title}: {len(unknown)} keys that it does not have{examples(unknown)}"
        )
    if len(set(names.values())) != len(names):
        raise BadCheckpoint(f"not {layout.title}: two of its keys mean the same tensor")
    trunk = {ours: tensors[theirs] for theirs, ours in names.items()}
    return Account(trunk, {**dropped_beside, **dropped}, (*rules_beside, *rules))


def load(layout: Format, contents: Contents) -> tuple[Backbone, Account, tuple[str, ...]]:
    """(backbone with the file's weights, what became of each key, what was added). Raises BadCheckpoint."""
    known = account(layout, contents)
    name = contents.card.backbone if contents.card else layout.backbone(known.trunk)
    backbone = empty_backbone(name)
    expected = backbone.trunk.state_dict()
    counters = {n for n in expected if n.endswith(COUNTER)}
    trunk = dict(known.trunk)
    added: tuple[str, ...] = ()
    if layout.counters == "never" and (there := counters & trunk.keys()):
        raise BadCheckpoint(f"not {layout.title}: its batch-norm counts batches{examples(there)}")
    if counters and not counters & trunk.keys():
        trunk |= {n: torch.zeros((), dtype=torch.int64) for n in counters}
        added = (
            f"{len(counters)} num_batches_tracked that the file has not were set to 0; no output depends on them",
        )
    missing = expected.keys() - trunk.keys()
    if missing:
        raise BadCheckpoint(f"not {layout.title}: {len(missing)} keys missing{examples(missing)} of {name}")
    if extra := trunk.keys() - expected.keys():
        raise BadCheckpoint(
            f"not {layout.title}: {len(extra)} keys that {name} does not have{examples(extra)}"
        )
    converted = layout.convert(trunk, known.dropped)
    fill(backbone.trunk, _apart(converted), layout.title)
    return backbone, known, added


def examples(names: Iterable[str]) -> str:
    shown = sorted(names)
    return f" ({', '.join(shown[:3])}{', …' if len(shown) > 3 else ''})"


def _apart(tensors: Tensors) -> dict[str, Tensor]:
    """Each with a storage of its own: in a file two names may share one, and training one would move the other."""
    taken: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        shared = storage.data_ptr() in taken or storage.nbytes() != tensor.nbytes
        apart[name] = tensor.detach().clone() if shared else tensor.detach()
        taken.add(storage.data_ptr())
    return apart


def _drop(
    layout: Format, entries: Mapping[str, Any], rules: tuple[Drop, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped: dict[str, Any] = {}
    lines = []
    for rule in rules:
        covered = {name: value for name, value in entries.items() if rule.covers(name)}
        if rule.required and not covered:
            raise BadCheckpoint(f"not {layout.title}: no {rule.name} ({rule.what})")
        if covered:
            count = f", {len(covered)} keys" if rule.name.endswith("*") else ""
            lines.append(f"{rule.name}: {rule.what}{count}")
        dropped |= covered
    return dropped, tuple(lines)


def tensor_of(dropped: Mapping[str, Any], name: str) -> Tensor | None:
    """A dropped tensor that a format wants to look at before it is gone."""
    found = dropped.get(name)
    return found if isinstance(found, Tensor) else None
