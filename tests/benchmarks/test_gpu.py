"""The GPU's benchmark runs on a CPU too, to be tried out; without a GPU it says that nothing was measured."""

from __future__ import annotations

import pytest
import torch

from benchmarks import gpu


@pytest.mark.slow
def test_the_command_measures_both_loops_on_a_cpu() -> None:
    arguments = ["--device=cpu", "--backbones=resnet18", "--batches=4", "--image-size=32", "--steps=3"]
    speed, share = gpu.measure(gpu.parser().parse_args([*arguments, "--loader-workers=0"]))
    ours, bare = (
        float(text.split()[place].replace(",", "")) for text, place in ((speed.ours, 0), (speed.peer, -1))
    )
    assert ours > 0
    assert bare > 0
    assert 0 < float(share.ours.rstrip("%")) < 100


def test_where_there_is_no_gpu_the_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [row.ours for row in gpu.measure(gpu.parser().parse_args([]))] == [
        "not measured: torch sees no GPU here"
    ]
