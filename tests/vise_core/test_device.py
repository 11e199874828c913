"""Where a stage computes: what was asked for, or a refusal; what stays on the CPU does without torch."""

import subprocess
import sys

import pytest
import torch

from vise_core.device import pick_device
from vise_core.errors import BadInput


@pytest.mark.parametrize("there", [True, False])
def test_auto_takes_a_gpu_where_there_is_one(there: bool, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert pick_device("auto") == ("cuda" if there else "cpu")
    assert pick_device("cpu") == "cpu"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("cuda") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match=r"compute\.device is cuda, .* no GPU .* choose auto or cpu"):
        pick_device("cuda")


@pytest.mark.parametrize("module", ["vise_core.device", "vise_core.engagement.cluster"])
def test_the_cpu_needs_no_torch(module: str) -> None:
    code = f"import sys; from {module} import pick_device; pick_device('cpu'); print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
