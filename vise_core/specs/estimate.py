"""What a run will take, before it is launched: memory and disk by arithmetic, time from past runs of its kind.

Each stage's own ``Cost`` is in its spec file. Nothing is guessed: what neither follows from the spec nor was measured
before stays unknown, and its note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Generic, TypeVar

from pydantic import Field

from .base import Record, Spec
from .models.backbones import BACKBONES

S = TypeVar("S", bound=Spec)

FLOAT, HALF = 4, 2
"""Bytes of a number."""

MAX_PAST_RUNS = 5
"""Past runs of a kind that a time is taken from: the newest."""

NO_RUN_YET = "unknown: no run of this kind yet"


class InputFacts(Record):
    """Facts about a run's inputs that are known without reading them."""

    items: int | None = Field(None, description="Posts or images that it will work on.")
    backbone: str | None = Field(None, description="Of the checkpoint that it reads.")
    classes: int | None = Field(None, description="Outputs of all heads together.")


@dataclass(frozen=True)
class PastRun:
    """A succeeded run of the same stage, as the store keeps it; ``written``: bytes of its artifacts."""

    id: str
    spec: Spec
    result: Mapping[str, Any]
    written: int


@dataclass(frozen=True)
class Work:
    """Amount of work of a run. Times of two runs are compared only where ``kind`` is equal."""

    amount: float
    sentence: str
    kind: tuple[Any, ...] = ()


class TimeEstimate(Record):
    """Estimated time on one kind of device, from past runs of the stage on it."""

    device: str
    seconds: float
    least: float
    most: float
    runs: tuple[str, ...] = Field(description="Ids of the runs that it is taken from.")


class MemoryEstimate(Record):
    """Estimated memory of one process of the run, in bytes."""

    where: str = Field(description="GPU or CPU.")
    bytes: int
    parts: dict[str, int] = Field(description="What it is made of.")
    at_most: bool = Field(False, description="A bound from above, not what it will be.")


class DiskEstimate(Record):
    """Estimated bytes that a run writes."""

    kept: int = Field(description="Bytes of its artifacts.")
    working: int = Field(0, description="Bytes more while it runs: the state to resume from.")


class Estimate(Record):
    """Estimated time, memory and disk space of a run. An unknown one is empty, and its note says why."""

    work: str = ""
    time: tuple[TimeEstimate, ...] = ()
    time_note: str = ""
    memory: tuple[MemoryEstimate, ...] = ()
    memory_note: str = ""
    disk: DiskEstimate | None = None
    disk_note: str = ""


@dataclass(frozen=True, kw_only=True)
class Cost(Generic[S]):
    """How a stage estimates the cost of a run. Without ``work`` there is no estimate of its time.

    Attributes
    ----------
    work: (spec, facts) → amount of work; None where that depends on an input of unknown size.
    used: (spec, items of the input) → items that a run works on, where it takes only some of them.
    done: (result) → items that a past run worked on.
    memory, disk: (spec, facts) → by arithmetic; none where only past runs tell.
    """

    work: Callable[[S, InputFacts], Work | None] = lambda spec, facts: None
    used: Callable[[S, int], int] = lambda spec, items: items
    done: Callable[[Mapping[str, Any]], int | None] = lambda result: None
    memory: Callable[[S, InputFacts], tuple[MemoryEstimate, ...]] = lambda spec, facts: ()
    disk: Callable[[S, InputFacts], DiskEstimate | None] = lambda spec, facts: None


def estimate(cost: Cost[S], spec: S, facts: InputFacts, past: Sequence[PastRun] = ()) -> Estimate:
    """Return the estimate for one run with this spec. ``past``: succeeded runs of its stage, newest first."""
    planned = _planned(cost, spec, facts)
    alike = _alike(cost, planned, spec, past)
    memory = cost.memory(spec, facts)
    disk = cost.disk(spec, facts)
    seen = max((_provenance(run).get("peak_memory_bytes", 0) for run, _ in alike), default=0)
    memory_note = "weights, gradients and activations; libraries and kernels' workspaces come on top"
    if not memory and seen:
        memory = (MemoryEstimate(where="CPU", bytes=seen, parts={"most that runs of this kind took": seen}),)
        memory_note = f"as measured in {_counted(alike)}"
    elif not memory:
        memory_note = NO_RUN_YET
    disk_note = "the weights that it leaves"
    if disk is None and alike and planned is not None:
        rate = median(run.written / done.amount for run, done in alike)
        disk = DiskEstimate(kept=round(rate * planned.amount))
        disk_note = f"in proportion to {_counted(alike)}"
    elif disk is None:
        disk_note = NO_RUN_YET
    times = _times(planned, alike)
    return Estimate(
        work=planned.sentence if planned else "",
        time=times,
        time_note=f"from {_counted(alike)}" if times else _why_no_time(planned),
        memory=memory,
        memory_note=memory_note,
        disk=disk,
        disk_note=disk_note,
    )


def combined_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """Return the estimate for runs one after the other: times and disk add up, memory is that of the largest."""
    first = estimates[0]
    if len(estimates) == 1:
        return first
    devices = [{time.device: time for time in each.time} for each in estimates]
    times = tuple(
        TimeEstimate(
            device=name,
            seconds=sum(each[name].seconds for each in devices),
            least=sum(each[name].least for each in devices),
            most=sum(each[name].most for each in devices),
            runs=tuple(dict.fromkeys(run for each in devices for run in each[name].runs)),
        )
        for name in devices[0]
        if all(name in each for each in devices)
    )
    disks = [each.disk for each in estimates]
    known = [disk for disk in disks if disk is not None]
    return first.model_copy(
        update={
            "work": f"{len(estimates)} runs",
            "time": times,
            "time_note": f"one after the other, {first.time_note}" if times else NO_RUN_YET,
            "memory": max(
                (each.memory for each in estimates), key=lambda m: max((x.bytes for x in m), default=0)
            ),
            "disk": DiskEstimate(
                kept=sum(disk.kept for disk in known), working=max(disk.working for disk in known)
            )
            if len(known) == len(disks)
            else None,
        }
    )


def per_item(unit: str) -> Callable[[Any, InputFacts], Work | None]:
    """Return a ``work`` that grows with the number of items alone, whatever the spec."""

    def work(_: Any, facts: InputFacts) -> Work | None:
        return None if facts.items is None else Work(facts.items, f"{facts.items:,} {unit}")

    return work


def training_memory(
    backbone: str, image_size: int, images: int, *, half: bool, copies: int, heads: int = 0
) -> dict[str, int]:
    """Return the bytes by part for training with ``images`` at once.

    ``copies`` of the weights lie in memory: weights, gradients, one or two moments of the optimizer. Mixed precision
    (``half``) keeps activations in 2 bytes.
    """
    entry = BACKBONES[backbone]
    values = entry.parameters + heads * (entry.feature_dim + 1)
    # Maps shrink with the image's area; what does not (a pooled vector) is too little to tell.
    activations = images * entry.activations * (image_size / entry.image_size) ** 2
    return {
        "weights, gradients, optimiser": copies * FLOAT * values,
        "activations": round(activations * (HALF if half else FLOAT)),
    }


def places(device: str, amp: str) -> list[tuple[str, bool]]:
    """Return (GPU or CPU, whether activations take 2 bytes) for each device that the run may be placed on."""
    on_gpu, on_cpu = ("GPU", amp != "off"), ("CPU", amp == "bf16")
    return {"auto": [on_gpu, on_cpu], "cuda": [on_gpu], "cpu": [on_cpu]}[device]


def memory_of(where: str, parts: dict[str, int], *, at_most: bool = False) -> MemoryEstimate:
    """Return the estimate of memory that is the sum of the parts, in bytes."""
    return MemoryEstimate(where=where, bytes=sum(parts.values()), parts=parts, at_most=at_most)


def _planned(cost: Cost[S], spec: S, facts: InputFacts) -> Work | None:
    if facts.items is not None:
        facts = facts.model_copy(update={"items": cost.used(spec, facts.items)})
    return cost.work(spec, facts)


def _done(cost: Cost[Any], run: PastRun) -> Work | None:
    """What a past run did, in the measure of ``_planned``."""
    facts = InputFacts(items=cost.done(run.result), backbone=run.result.get("backbone"))
    return cost.work(run.spec, facts)


def _alike(
    cost: Cost[S], planned: Work | None, spec: S, past: Sequence[PastRun]
) -> list[tuple[PastRun, Work]]:
    """Past runs of the planned kind, newest first; with a device chosen in the spec, of that device."""
    if planned is None:
        return []
    device = getattr(getattr(spec, "compute", None), "device", "auto")
    alike = []
    for run in past:
        done = _done(cost, run)
        on_cpu = str(_provenance(run).get("device", "")).startswith("cpu")
        fits = device == "auto" or (device == "cpu") == on_cpu
        if done is not None and done.amount > 0 and done.kind == planned.kind and fits:
            alike.append((run, done))
    return alike[:MAX_PAST_RUNS]


def _times(planned: Work | None, alike: Sequence[tuple[PastRun, Work]]) -> tuple[TimeEstimate, ...]:
    if planned is None:
        return ()
    by_device: dict[str, list[tuple[str, float]]] = {}
    for run, done in alike:
        provenance = _provenance(run)
        if seconds := provenance.get("wall_seconds"):
            rates = by_device.setdefault(str(provenance.get("device", "unknown device")), [])
            rates.append((run.id, seconds / done.amount))
    return tuple(
        TimeEstimate(
            device=device,
            seconds=planned.amount * median(rate for _, rate in rates),
            least=planned.amount * min(rate for _, rate in rates),
            most=planned.amount * max(rate for _, rate in rates),
            runs=tuple(name for name, _ in rates),
        )
        for device, rates in by_device.items()
    )


def _why_no_time(planned: Work | None) -> str:
    return NO_RUN_YET if planned is not None else "unknown: the size of its input is not known yet"


def _counted(alike: Sequence[Any]) -> str:
    return "the last run of this kind" if len(alike) == 1 else f"the last {len(alike)} runs of this kind"


def _provenance(run: PastRun) -> Mapping[str, Any]:
    return run.result.get("provenance") or {}
