"""Precision and device: one answer in every stage that has ``compute.amp``, for every combination of both."""

from itertools import product
from pathlib import Path
from typing import get_args

import pytest
import torch

from vise_core.device import pick_device
from vise_core.errors import BadInput
from vise_core.evaluate import stage as evaluate
from vise_core.pretrain import stage as pretrain
from vise_core.reporter import LocalReporter
from vise_core.specs.compute import Amp, Device
from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.pretrain import PretrainSpec
from vise_core.specs.stages import STAGES
from vise_core.training.distributed import process_device
from vise_core.training.precision import amp_dtype, autocast, grad_scaler, memory_format

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
RULE = {
    ("auto", "cpu"): None,
    ("off", "cpu"): None,
    ("bf16", "cpu"): torch.bfloat16,
    ("fp16", "cpu"): BadInput,
    ("auto", "cuda"): torch.float16,
    ("off", "cuda"): None,
    ("bf16", "cuda"): torch.bfloat16,
    ("fp16", "cuda"): torch.float16,
}
NO_FP16 = r"compute\.amp: fp16 needs a GPU, and this run computes on a CPU; choose auto, bf16 or off"
NO_GPU = r"compute\.device is cuda, but this process sees no GPU"


@pytest.mark.parametrize(("amp", "kind"), list(RULE))
def test_the_dtype_of_autocast_and_the_loss_scaler(amp: Amp, kind: str) -> None:
    device, rule = torch.device(kind), RULE[amp, kind]
    if rule is BadInput:
        for ask in (amp_dtype, autocast, grad_scaler):
            with pytest.raises(BadInput, match=NO_FP16):
                ask(amp, device)
        return
    assert amp_dtype(amp, device) is rule
    if kind == "cpu":
        with autocast(amp, device):
            assert torch.is_autocast_enabled("cpu") == (rule is not None)
        assert not grad_scaler(amp, device).is_enabled()


def test_the_rule_covers_every_combination() -> None:
    assert set(RULE) == set(product(get_args(Amp), ("cpu", "cuda")))


def test_channels_last_is_the_spec_s_on_every_device() -> None:
    assert memory_format(True) is torch.channels_last
    assert memory_format(False) is torch.contiguous_format


@pytest.mark.parametrize("gpus", [0, 2])
@pytest.mark.parametrize("chosen", get_args(Device))
def test_the_device_of_a_process(chosen: Device, gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    if chosen == "cuda" and not gpus:
        for ask in (pick_device, process_device):
            with pytest.raises(BadInput, match=NO_GPU):
                ask(chosen)
        return
    assert process_device(chosen).type == pick_device(chosen)
    if process_device(chosen).type == "cuda":
        assert process_device(chosen, 1) == torch.device("cuda", 1)
        with pytest.raises(BadInput, match="process 3 needs a GPU of its own, and 2 are visible"):
            process_device(chosen, 2)


class Reached(Exception):
    """The stage has accepted precision and device."""


def _reached(*_args: object) -> None:
    raise Reached


def _pretrain(compute: dict, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the stage as far as its posts."""
    monkeypatch.setattr(pretrain, "_read", _reached)
    spec = PretrainSpec.model_validate({"batch": 8, "epochs": 1, "compute": compute})
    pretrain.run(spec, {}, folder, LocalReporter(folder))


def _evaluate(compute: dict, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the stage as far as its weights."""
    monkeypatch.setattr(evaluate, "load_weights", _reached)
    evaluate.run(EvaluateSpec.model_validate({"compute": compute}), {}, folder, LocalReporter(folder))


STAGES_WITH_PRECISION = {"pretrain": _pretrain, "evaluate": _evaluate}


def test_every_stage_with_precision_is_tested_here() -> None:
    with_precision = {
        name
        for name, entry in STAGES.items()
        if "compute" in entry.spec.model_fields
        and "amp" in entry.spec.model_fields["compute"].annotation.model_fields
    }
    assert with_precision == set(STAGES_WITH_PRECISION)


@pytest.mark.parametrize("name", list(STAGES_WITH_PRECISION))
@pytest.mark.parametrize(("amp", "device"), list(product(get_args(Amp), get_args(Device))))
def test_every_stage_gives_the_same_answer(
    name: str, amp: Amp, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    expected: type[Exception] = Reached
    message = "^$"
    if device == "cuda":
        expected, message = BadInput, NO_GPU
    elif amp == "fp16":
        expected, message = BadInput, NO_FP16
    with pytest.raises(expected, match=message):
        STAGES_WITH_PRECISION[name]({"amp": amp, "device": device}, tmp_path, monkeypatch)
