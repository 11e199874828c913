"""Memory and disk by arithmetic that torch confirms; time from runs that were, or unknown."""

import pytest
import torch

from vise_core.models.backbones import empty_backbone
from vise_core.specs.estimate import (
    NO_RUN_YET,
    InputFacts,
    PastRun,
    combined_estimate,
    estimate,
    training_memory,
)
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.models.backbones import BACKBONES
from vise_core.specs.pretrain import PretrainSpec
from vise_core.specs.stages import STAGES, validate_spec


def saved_for_backward(name: str, size: int) -> int:
    """Values that autograd keeps of one image, weights aside, each storage once."""
    network = empty_backbone(name).train()
    weights = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
    kept = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = (storage.nbytes(), tensor)
        return tensor

    image = torch.zeros(1, 3, size, size, device="meta", requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(image)
    return sum(size for size, _ in kept.values()) // 4


@pytest.mark.parametrize("name", BACKBONES)
def test_the_activations_of_every_backbone_are_what_torch_saves(name: str) -> None:
    assert saved_for_backward(name, 224) == pytest.approx(BACKBONES[name].activations, rel=0.01)


@pytest.mark.parametrize("size", [64, 448])
def test_activations_grow_with_the_images_area(size: int) -> None:
    parts = training_memory("resnet50", size, 3, half=False, copies=3)
    assert parts["activations"] == pytest.approx(3 * 4 * saved_for_backward("resnet50", size), rel=0.05)


def past(
    spec: PretrainSpec, seconds: float, posts: int, device: str = "cpu (x86_64)", name: str = "a"
) -> PastRun:
    provenance = {"wall_seconds": seconds, "device": device, "peak_memory_bytes": 10**9}
    return PastRun(name, spec, {"posts": posts, "provenance": provenance}, written=50_000_000)


def test_time_comes_from_runs_of_the_same_kind_in_proportion_to_the_work() -> None:
    small = PretrainSpec(backbone="resnet18", image_size=64, epochs=2)
    runs = [
        past(small, 100, 1000, name="new"),
        past(small, 200, 1000, name="old"),
        past(small.model_copy(update={"backbone": "resnet50"}), 9999, 1000, name="another backbone"),
    ]
    estimated = estimate(
        STAGES["pretrain"].cost, small.model_copy(update={"epochs": 4}), InputFacts(items=3000), runs
    )
    (time,) = estimated.time
    assert (time.device, time.runs) == ("cpu (x86_64)", ("new", "old"))
    # 12,000 images are six times the 2,000 of each run: 600 s at the faster, 1200 s at the slower.
    assert (time.least, time.seconds, time.most) == pytest.approx((600, 900, 1200))
    assert estimated.work == "3,000 posts × 4 epochs"


def test_each_device_has_its_own_time_and_a_chosen_device_leaves_the_others_out() -> None:
    spec = PretrainSpec(backbone="resnet18", epochs=1)
    runs = [past(spec, 60, 1000), past(spec, 3, 1000, device="NVIDIA H100", name="b")]
    both = estimate(STAGES["pretrain"].cost, spec, InputFacts(items=1000), runs)
    assert {time.device: round(time.seconds) for time in both.time} == {"cpu (x86_64)": 60, "NVIDIA H100": 3}
    on_cpu = spec.model_copy(update={"compute": spec.compute.model_copy(update={"device": "cpu"})})
    assert [
        t.device for t in estimate(STAGES["pretrain"].cost, on_cpu, InputFacts(items=1000), runs).time
    ] == ["cpu (x86_64)"]


def test_without_a_run_of_this_kind_the_time_is_unknown_and_not_invented() -> None:
    estimated = estimate(STAGES["pretrain"].cost, PretrainSpec(), InputFacts(items=1000))
    assert (estimated.time, estimated.time_note) == ((), NO_RUN_YET)
    unread = estimate(STAGES["pretrain"].cost, PretrainSpec(), InputFacts())
    assert unread.time == ()
    assert "size of its input" in unread.time_note


def test_memory_of_pretraining_counts_weights_heads_and_the_batch_of_one_process() -> None:
    spec = PretrainSpec.model_validate(
        {"batch": 64, "accumulate": 2, "compute": {"processes": 4, "device": "cpu"}}
    )
    (memory,) = estimate(STAGES["pretrain"].cost, spec, InputFacts(classes=5128)).memory
    values = 23_508_032 + 5128 * 2049
    assert memory.parts["weights, gradients, optimiser"] == 3 * 4 * values
    assert memory.parts["activations"] == 8 * 4 * BACKBONES["resnet50"].activations
    assert memory.bytes == sum(memory.parts.values())


def test_mixed_precision_halves_activations_on_a_gpu_only() -> None:
    gpu, cpu = estimate(STAGES["pretrain"].cost, PretrainSpec(batch=32), InputFacts()).memory
    assert (gpu.where, cpu.where) == ("GPU", "CPU")
    assert cpu.parts["activations"] == 2 * gpu.parts["activations"]


def test_a_frozen_backbone_is_bounded_from_above_and_a_tuned_one_is_not() -> None:
    facts = InputFacts(items=100, backbone="resnet50")
    frozen = estimate(STAGES["evaluate"].cost, EvaluateSpec(), facts)
    tuned = estimate(STAGES["evaluate"].cost, EvaluateSpec(protocol="fine-tuned"), facts)
    assert frozen.memory[0].at_most
    assert not tuned.memory[0].at_most
    assert tuned.memory[0].bytes > frozen.memory[0].bytes
    assert frozen.disk is not None
    assert frozen.disk.kept == 4 * 23_508_032


def test_a_sweep_adds_times_and_disk_and_takes_the_largest_memory() -> None:
    spec = PretrainSpec(backbone="resnet18", epochs=1)
    runs = [past(spec, 60, 1000)]
    facts = InputFacts(items=1000)
    one, two = (
        estimate(STAGES["pretrain"].cost, spec.model_copy(update={"batch": b, "epochs": e}), facts, runs)
        for b, e in ((64, 1), (128, 2))
    )
    both = combined_estimate([one, two])
    assert both.time[0].seconds == pytest.approx(180)
    assert both.memory == two.memory
    assert one.disk is not None
    assert both.disk is not None
    assert both.disk.kept == 2 * one.disk.kept


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_an_answer_for_its_defaults(stage: str) -> None:
    estimated = estimate(
        STAGES[stage].cost, validate_spec(stage, {}), InputFacts(items=500, backbone="resnet50")
    )
    assert estimated.time == ()
    assert estimated.time_note
    assert estimated.memory or estimated.memory_note == NO_RUN_YET
