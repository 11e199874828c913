"""Account for every key of a file: it is mapped, or dropped by a rule, or the file is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vise_core.errors import BadCheckpoint, BadInput
from vise_core.models.backbones import Backbone, empty_backbone
from vise_core.models.tensors import check_layout, fill

from .contents import Contents, Tensors
from .format import Drop, Format
from .networks import SHELLS, Network, network_of, networks, peeled

COUNTER = ".num_batches_tracked"
BESIDE = "training state or another entry beside the weights"
LEAVE_OUT = "Where they are heads or training state, leave them out and save the state dict again"


@dataclass(frozen=True, slots=True)
class Account:
    """The result for each key of a file: mapped to the trunk, or dropped by a rule.

    Attributes
    ----------
    trunk: tensors by the trunk's names, values as in the file.
    dropped: what was left out, by the file's name. rules: one line for each rule that left something out.
    notes: where in the file the trunk lies, where that is not its usual place.
    """

    trunk: Tensors
    dropped: Mapping[str, Any]
    rules: tuple[str, ...]
    notes: tuple[str, ...] = ()


def account(layout: Format, contents: Contents, network: str | None = None) -> Account:
    """Sort the keys of a file of this format.

    Raises BadCheckpoint for a file of another kind, without tensors, or with a key that no rule names; BadInput for a
    ``network`` where the format holds only one.
    """
    if contents.kind not in layout.kinds:
        raise BadCheckpoint(f"not {layout.title}: it is a {contents.kind} file or folder")
    if layout.torchvision:
        return _account_network(layout, contents, network_of(contents, network))
    if network is not None:
        raise BadInput(f"network: a file of {layout.name} holds one; leave it out")
    beside: Mapping[str, Any] = {}
    beside_rules = layout.beside
    notes: tuple[str, ...] = ()
    if layout.wrapper is not None:
        tensors = contents.wrapped(layout.wrapper)
        beside = {name: value for name, value in contents.entries.items() if name != layout.wrapper}
    else:
        peel = peeled(contents)
        tensors, beside, notes = peel.contents.plain, peel.beside, peel.notes
        beside_rules = tuple(Drop(name, BESIDE) for name in beside)
    if tensors is None:
        where = f"under the entry {layout.wrapper!r}" if layout.wrapper else "by name"
        raise BadCheckpoint(f"not {layout.title}: no tensors {where}, but {contents.summary()}")
    dropped, rules = _drop(layout, tensors, layout.drops)
    dropped_beside, rules_beside = _drop(layout, beside, beside_rules)
    names = layout.names([name for name in tensors if name not in dropped])
    unknown = (tensors.keys() - dropped.keys() - names.keys()) | (beside.keys() - dropped_beside.keys())
    _reject_unknown(layout, unknown)
    if len(set(names.values())) != len(names):
        raise BadCheckpoint(f"not {layout.title}: two of its keys mean the same tensor")
    trunk = {ours: tensors[theirs] for theirs, ours in names.items()}
    return Account(trunk, {**dropped_beside, **dropped}, (*rules_beside, *rules), notes)


def _account_network(layout: Format, contents: Contents, network: Network) -> Account:
    """Sort the keys of a trunk in torchvision's names, which may have an entry and a prefix of its own."""
    inside = network.trunk
    dropped, rules = _drop(layout, inside, layout.drops)
    trunk = {name: tensor for name, tensor in inside.items() if name not in dropped}
    outside = {name: t for name, t in network.level.items() if not name.startswith(network.prefix)}
    others = [other for other in networks(contents) if other.entry == network.entry and other != network]
    more: dict[str, Any] = {}
    lines: list[str] = []
    if layout.heads_beside:
        for other in others:
            covered = {n: t for n, t in outside.items() if n.startswith(other.prefix) and n not in more}
            more |= covered
            lines.append(f"{other.label}: another network, not chosen, {len(covered)} keys")
        rest = {name: t for name, t in outside.items() if name not in more}
        bare = {name: _without_shells(name) for name in rest}
        covered_heads = [name for name in rest if any(rule.covers(bare[name]) for rule in layout.drops)]
        if covered_heads:
            lines.append(f"{len(covered_heads)} keys of heads beside the network{examples(covered_heads)}")
            more |= {name: rest[name] for name in covered_heads}
    _reject_unknown(layout, outside.keys() - more.keys())
    beside = {name: value for name, value in contents.entries.items() if _is_beside(name, value, network)}
    lines += [f"{name}: {BESIDE}" for name in beside]
    named = {f"{network.prefix}{name}": tensor for name, tensor in dropped.items()}
    notes = (f"the network lies {network.place}",) if network.place else ()
    return Account(trunk, {**beside, **more, **named}, (*lines, *rules), notes)


def _is_beside(name: str, value: Any, network: Network) -> bool:
    """Return True if an entry of the file does not belong to the network's level."""
    if network.entry is not None:
        return name != network.entry
    return not isinstance(value, Tensor)


def _reject_unknown(layout: Format, unknown: Iterable[str]) -> None:
    if names := set(unknown):
        raise BadCheckpoint(
            f"not {layout.title}: {len(names)} keys that it does not have{examples(names)}. {LEAVE_OUT}"
        )


def _without_shells(name: str) -> str:
    for shell in SHELLS:
        name = name.removeprefix(shell)
    return name


def load(
    layout: Format, contents: Contents, network: str | None = None
) -> tuple[Backbone, Account, tuple[str, ...]]:
    """Return (backbone with the file's weights, account of its keys, conversions).

    Raises BadCheckpoint for keys, shapes, types or values that are not those of the backbone.

    Names, shapes and types are compared with the backbone's before anything is copied.
    """
    known = account(layout, contents, network)
    name = contents.card.backbone if contents.card else layout.backbone(known.trunk)
    backbone = empty_backbone(name)
    expected = backbone.trunk.state_dict()
    trunk, changes = _counters(layout, dict(known.trunk), expected)
    missing = expected.keys() - trunk.keys()
    if missing:
        raise BadCheckpoint(f"not {layout.title}: {len(missing)} keys missing{examples(missing)} of {name}")
    if extra := trunk.keys() - expected.keys():
        raise BadCheckpoint(
            f"not {layout.title}: {len(extra)} keys that {name} does not have{examples(extra)}. {LEAVE_OUT}"
        )
    check_layout(trunk, expected, layout.title, types=False)
    own, converted = _own(trunk, expected, layout.title)
    fill(backbone.trunk, layout.convert(own, known.dropped), layout.title)
    return backbone, known, (*known.notes, *contents.notes, *changes, *converted)


def _counters(
    layout: Format, trunk: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return batch-norm's counters of batches, which no output depends on: 0 where the file has none."""
    counters = {name for name in expected if name.endswith(COUNTER)}
    there = counters & trunk.keys()
    if layout.counters == "never" and there:
        raise BadCheckpoint(f"not {layout.title}: its batch-norm counts batches{examples(there)}")
    zero = torch.zeros((), dtype=torch.int64)
    if counters and not there:
        return trunk | dict.fromkeys(counters, zero), (
            f"{len(counters)} num_batches_tracked that the file has not were set to 0; no output depends on them",
        )
    broken = {name for name in there if trunk[name].is_floating_point() and trunk[name].shape == ()}
    if broken:
        return trunk | dict.fromkeys(broken, zero), (
            f"{len(broken)} num_batches_tracked that are no whole numbers were set to 0; no output depends on them",
        )
    return trunk, ()


def _own(
    trunk: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return (copies in the network's own types, a line for each type that was converted).

    Each copy has its own storage: two names may share one in a file, and training one would change the other.
    """
    converted: dict[torch.dtype, int] = {}
    for name, tensor in trunk.items():
        expected_dtype = expected[name].dtype
        if tensor.dtype != expected_dtype:
            if not (tensor.is_floating_point() and expected_dtype.is_floating_point):
                raise BadCheckpoint(f"{source}: {name} is {tensor.dtype}, expected {expected_dtype}")
            converted[tensor.dtype] = converted.get(tensor.dtype, 0) + 1
    own = {
        name: tensor.detach().to(expected[name].dtype, copy=True).contiguous()
        for name, tensor in trunk.items()
    }
    lines = tuple(
        f"{count} tensors were converted from {dtype} to torch.float32"
        + (", which rounds them" if dtype is torch.float64 else ", which changes no value")
        for dtype, count in converted.items()
    )
    return own, lines


def examples(names: Iterable[str]) -> str:
    """Return the first names as the end of a message: ": a, b, …"."""
    shown = sorted(names)
    return f" ({', '.join(shown[:3])}{', …' if len(shown) > 3 else ''})"


def _drop(
    layout: Format, entries: Mapping[str, Any], rules: tuple[Drop, ...]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    dropped: dict[str, Any] = {}
    lines = []
    for rule in rules:
        covered = {name: value for name, value in entries.items() if rule.covers(name)}
        if rule.required and not covered:
            raise BadCheckpoint(f"not {layout.title}: no {rule.name} ({rule.description})")
        for name, value in covered.items():
            if rule.rows and (not isinstance(value, Tensor) or value.shape[:1] != (rule.rows,)):
                raise BadCheckpoint(
                    f"not {layout.title}: {name} ({rule.description}) has not {rule.rows:,} rows, so somebody fine-tuned it; "
                    "give --format torchvision and --row with a name of your own"
                )
        if covered:
            count = f", {len(covered)} keys" if rule.name.endswith("*") else ""
            lines.append(f"{rule.name}: {rule.description}{count}")
        dropped |= covered
    return dropped, tuple(lines)


def tensor_of(dropped: Mapping[str, Any], name: str) -> Tensor | None:
    """Return the tensor of any shape that was dropped under a name; None if none was, or if it was no tensor."""
    tensor = dropped.get(name)
    return tensor if isinstance(tensor, Tensor) else None
