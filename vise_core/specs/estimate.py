"""What a run will take, before it is launched: memory and disk by arithmetic, time from runs of its kind.

Nothing is guessed: what neither follows from the spec nor was measured before stays unknown, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pydantic import Field

from .base import Compute, Record, Spec
from .cluster import ClusterSpec
from .evaluate import EvaluateSpec
from .evaluation.setups import PretrainedWeights
from .explain import ExplainSpec
from .ingest import IngestSpec
from .integrity import IntegritySpec
from .models.backbones import BACKBONES
from .posts.sources import SampleSource
from .pretrain import PretrainSpec
from .sample_tasks import SampleTasksSpec

FLOAT, HALF = 4, 2
LOOKED_AT = 5
"""Runs of a kind that a time is taken from: the newest."""

NO_RUN_YET = "unknown: no run of this kind yet"


class InputFacts(Record):
    """What is known of a run's inputs without reading them."""

    items: int | None = Field(None, description="Posts or images that it will work on.")
    backbone: str | None = Field(None, description="Of the checkpoint that it reads.")
    classes: int | None = Field(None, description="Outputs of all heads together.")


@dataclass(frozen=True)
class PastRun:
    """A succeeded run of the same stage, as the store keeps it."""

    id: str
    spec: Spec
    result: Mapping[str, Any]
    written: int
    """Bytes of its artifacts."""


@dataclass(frozen=True)
class Work:
    """How much there is to do, and what must agree for two runs to be of one kind."""

    amount: float
    sentence: str
    kind: tuple[Any, ...] = ()


class TimeEstimate(Record):
    """Time on one kind of device, from runs of this kind on it."""

    device: str
    seconds: float
    least: float
    most: float
    runs: tuple[str, ...] = Field(description="Ids of the runs that it is taken from.")


class MemoryEstimate(Record):
    """Memory of one process of the run."""

    where: str = Field(description="GPU or CPU.")
    bytes: int
    parts: dict[str, int] = Field(description="What it is made of.")
    at_most: bool = Field(False, description="A bound from above, not what it will be.")


class DiskEstimate(Record):
    """What a run writes."""

    kept: int = Field(description="Bytes of its artifacts.")
    working: int = Field(0, description="Bytes more while it runs: the state to resume from.")


class Estimate(Record):
    """For one run. What is unknown is empty, and its note says why."""

    work: str = ""
    time: tuple[TimeEstimate, ...] = ()
    time_note: str = ""
    memory: tuple[MemoryEstimate, ...] = ()
    memory_note: str = ""
    disk: DiskEstimate | None = None
    disk_note: str = ""


def estimate(stage: str, spec: Spec, facts: InputFacts, past: Sequence[PastRun] = ()) -> Estimate:
    """What one run with this spec will take; ``past``: succeeded runs of the stage, newest first."""
    planned = planned_work(stage, spec, facts)
    alike = _alike(stage, planned, spec, past)
    memory = _memory(spec, facts)
    disk = _disk(spec, facts)
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


def together(estimates: Sequence[Estimate]) -> Estimate:
    """Many runs one after the other: times and disk add up, memory is that of the largest."""
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


def planned_work(stage: str, spec: Spec, facts: InputFacts) -> Work | None:
    """What the run has to do; None where that depends on an input of unknown size."""
    if isinstance(spec, PretrainSpec) and facts.items is not None and spec.posts_limit is not None:
        facts = facts.model_copy(update={"items": min(facts.items, spec.posts_limit)})
    if isinstance(spec, ClusterSpec) and facts.items is not None:
        facts = facts.model_copy(update={"items": round(facts.items * spec.subset.cluster_fraction)})
    measure = _WORK.get(stage)
    return measure(spec, facts) if measure else None


def done_work(stage: str, run: PastRun) -> Work | None:
    """What a past run did, in the same measure."""
    items = _DONE_ITEMS.get(stage, lambda _: None)(run.result)
    facts = InputFacts(items=items, backbone=run.result.get("backbone"))
    measure = _WORK.get(stage)
    return measure(run.spec, facts) if measure else None


def training_memory(
    backbone: str, image_size: int, images: int, *, half: bool, copies: int, heads: int = 0
) -> dict[str, int]:
    """Bytes by part for training with ``images`` at once; ``copies`` of the weights lie beside each other
    (weights, gradients, one or two moments of the optimiser). Mixed precision keeps activations in 2 bytes."""
    entry = BACKBONES[backbone]
    values = entry.parameters + heads * (entry.feature_dim + 1)
    # Maps shrink with the image's area; what does not (a pooled vector) is too little to tell.
    activations = images * entry.activations * (image_size / entry.image_size) ** 2
    return {
        "weights, gradients, optimiser": copies * FLOAT * values,
        "activations": round(activations * (HALF if half else FLOAT)),
    }


def _memory(spec: Spec, facts: InputFacts) -> tuple[MemoryEstimate, ...]:
    if isinstance(spec, PretrainSpec):
        images = -(-spec.batch // (spec.accumulate * spec.compute.processes))
        moco = spec.objective == "moco-v2"
        extra = {"queue of keys": FLOAT * spec.moco.queue * spec.moco.dim} if moco else {}
        heads = 0 if moco else (facts.classes or 0)
        return tuple(
            _sum(
                where,
                training_memory(
                    # MoCo-v2's key encoder is one more copy of the weights.
                    spec.backbone,
                    spec.image_size,
                    images,
                    half=half,
                    copies=4 if moco else 3,
                    heads=heads,
                )
                | extra,
            )
            for where, half in _places(spec.compute)
        )
    if isinstance(spec, EvaluateSpec) and (backbone := _backbone(spec, facts)) is not None:
        size = spec.image_size or BACKBONES[backbone].image_size
        tuned = spec.protocol == "fine-tuned"
        copies = (3 if spec.optimizer == "sgd" else 4) if tuned else 1
        return tuple(
            # Frozen, no map outlives its layer: fewer than training keeps.
            _sum(
                where,
                training_memory(backbone, size, spec.batch, half=half, copies=copies),
                at_most=not tuned,
            )
            for where, half in _places(spec.compute)
        )
    return ()


def _disk(spec: Spec, facts: InputFacts) -> DiskEstimate | None:
    if isinstance(spec, PretrainSpec):
        entry = BACKBONES[spec.backbone]
        moco = spec.objective == "moco-v2"
        heads = 0 if moco else (facts.classes or 0) * (entry.feature_dim + 1)
        kept = FLOAT * (entry.parameters + heads)
        queue = FLOAT * spec.moco.queue * spec.moco.dim if moco else 0
        # Weights and momentum, the key encoder for MoCo-v2; a new state is written before the old one goes.
        return DiskEstimate(kept=kept, working=2 * ((3 if moco else 2) * kept + queue))
    if isinstance(spec, EvaluateSpec) and (backbone := _backbone(spec, facts)) is not None:
        kept = FLOAT * BACKBONES[backbone].parameters
        return DiskEstimate(kept=kept, working=2 * kept if spec.protocol == "fine-tuned" else 0)
    return None


def _places(compute: Compute) -> list[tuple[str, bool]]:
    """(device, whether activations take two bytes) for each device that the run may land on."""
    on_gpu, on_cpu = ("GPU", compute.amp != "off"), ("CPU", compute.amp == "bf16")
    return {"auto": [on_gpu, on_cpu], "cuda": [on_gpu], "cpu": [on_cpu]}[compute.device]


def _sum(where: str, parts: dict[str, int], *, at_most: bool = False) -> MemoryEstimate:
    return MemoryEstimate(where=where, bytes=sum(parts.values()), parts=parts, at_most=at_most)


def _backbone(spec: EvaluateSpec, facts: InputFacts) -> str | None:
    """None where it is not known, or there is none."""
    if not spec.reads_images:
        return None
    return facts.backbone if isinstance(spec.weights, PretrainedWeights) else spec.weights.backbone


def _alike(
    stage: str, planned: Work | None, spec: Spec, past: Sequence[PastRun]
) -> list[tuple[PastRun, Work]]:
    """Past runs of the planned kind, newest first; with a device chosen in the spec, of that device."""
    if planned is None:
        return []
    wanted = getattr(getattr(spec, "compute", None), "device", "auto")
    found = []
    for run in past:
        done = done_work(stage, run)
        on_cpu = str(_provenance(run).get("device", "")).startswith("cpu")
        fits = wanted == "auto" or (wanted == "cpu") == on_cpu
        if done is not None and done.amount > 0 and done.kind == planned.kind and fits:
            found.append((run, done))
    return found[:LOOKED_AT]


def _times(planned: Work | None, alike: Sequence[tuple[PastRun, Work]]) -> tuple[TimeEstimate, ...]:
    if planned is None:
        return ()
    by_device: dict[str, list[tuple[str, float]]] = {}
    for run, done in alike:
        found = _provenance(run)
        if seconds := found.get("wall_seconds"):
            rates = by_device.setdefault(str(found.get("device", "unknown device")), [])
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


def _per_item(unit: str) -> Callable[[Any, InputFacts], Work | None]:
    def measure(_: Any, facts: InputFacts) -> Work | None:
        return None if facts.items is None else Work(facts.items, f"{facts.items:,} {unit}")

    return measure


def _ingest(spec: IngestSpec, facts: InputFacts) -> Work | None:
    kind = (spec.source.kind, spec.max_image_side)
    if isinstance(spec.source, SampleSource):
        made = spec.source.posts + spec.source.evaluation_images
        return Work(made, f"{made:,} images to generate", (*kind, spec.source.image_size))
    return None if facts.items is None else Work(facts.items, f"{facts.items:,} posts", kind)


def _sample_tasks(spec: SampleTasksSpec, _: InputFacts) -> Work:
    made = spec.images * len(spec.kinds)
    return Work(made, f"{made:,} images to generate", (spec.image_size,))


def _cluster(spec: ClusterSpec, facts: InputFacts) -> Work | None:
    if facts.items is None:
        return None
    clusters = tuple(
        part and (part.kmeans.algorithm, part.kmeans.k) for part in (spec.comments, spec.reactions)
    )
    extractor = spec.comments and spec.comments.extractor.kind
    return Work(facts.items, f"{facts.items:,} posts of the cluster subset", (*clusters, extractor))


def _pretrain(spec: PretrainSpec, facts: InputFacts) -> Work | None:
    if facts.items is None:
        return None
    kind = (spec.backbone, spec.objective, spec.image_size, spec.compute.processes, spec.compute.amp)
    return Work(facts.items * spec.epochs, f"{facts.items:,} posts × {spec.epochs} epochs", kind)


def _evaluate(spec: EvaluateSpec, facts: InputFacts) -> Work | None:
    backbone = _backbone(spec, facts)
    if facts.items is None or (backbone is None and spec.reads_images):
        return None
    kind = (backbone, spec.setup, spec.protocol, spec.augment, spec.image_size, spec.compute.processes)
    if spec.protocol == "linear" and not spec.augment:
        return Work(facts.items, f"{facts.items:,} images, features computed once", kind)
    # Linear: every split and point of the grid goes through the epochs together.
    trainings = 1 if spec.protocol == "linear" else spec.splits.count * _grid(spec)
    amount = facts.items * spec.epochs * trainings
    many = f" × {trainings} trainings" if trainings > 1 else ""
    return Work(amount, f"{facts.items:,} images × {spec.epochs} epochs{many}", kind)


def _grid(spec: EvaluateSpec) -> int:
    return len(spec.base_lrs) * len(spec.weight_decays)


def _explain(spec: ExplainSpec, _: InputFacts) -> Work:
    steps = spec.faithfulness_steps if spec.faithfulness else 0
    return Work(spec.limit, f"{spec.limit:,} images", (spec.method, steps))


def _integrity(spec: IntegritySpec, facts: InputFacts) -> Work | None:
    if facts.items is None:
        return None
    return Work(facts.items, f"{facts.items:,} images", (spec.perceptual,))


_WORK: dict[str, Callable[[Any, InputFacts], Work | None]] = {
    "ingest": _ingest,
    "sample_tasks": _sample_tasks,
    "cluster": _cluster,
    "label": _per_item("posts"),
    "explore": _per_item("posts"),
    "survey": _per_item("images or posts"),
    "pretrain": _pretrain,
    "import": lambda *_: Work(1, "one file"),
    "evaluate": _evaluate,
    "integrity": _integrity,
    "explain": _explain,
    "qualitative": lambda spec, _: Work(spec.limit, f"{spec.limit:,} images", (spec.method,)),
}
"""Stage → what it has to do. A stage without an entry has no time, and says so."""


def _evaluated(result: Mapping[str, Any]) -> int | None:
    splits = result.get("splits") or ()
    return sum(splits[0]["sizes"]) if splits else None


_DONE_ITEMS: dict[str, Callable[[Mapping[str, Any]], int | None]] = {
    "ingest": lambda result: result.get("posts"),
    "cluster": lambda result: result.get("posts"),
    "label": lambda result: sum(result.get(key, 0) for key in ("posts", "unlabelled", "held_for_clusters")),
    "explore": lambda result: result.get("posts"),
    "survey": lambda result: result.get("images"),
    "pretrain": lambda result: result.get("posts"),
    "evaluate": _evaluated,
    "integrity": lambda result: result.get("images"),
}
"""Stage → posts or images that a past run worked on, from its result."""
