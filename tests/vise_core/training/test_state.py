"""A saved state is whole at every moment: the one before a save, or the one after."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from vise_core.errors import BadCheckpoint, Stopped
from vise_core.reporter import LocalReporter
from vise_core.training.state import SavedState
from vise_core.training.training import Training


def opened(folder: Path) -> SavedState:
    return SavedState(folder, LocalReporter(folder / "artifacts"))


def test_nothing_is_saved_at_first(tmp_path: Path) -> None:
    state = opened(tmp_path)
    assert state.facts == {}
    assert not (tmp_path / "state").exists()
    with pytest.raises(KeyError):
        state.load("training")


def test_facts_values_and_files_come_back(tmp_path: Path) -> None:
    state = opened(tmp_path)
    (tmp_path / "features.npy").write_bytes(b"features")
    state.save({"epoch": 0}, files={"features.npy": tmp_path / "features.npy"})
    assert not (tmp_path / "features.npy").exists()
    values = {"weight": torch.arange(3.0), "nested": {"steps": 2, "tensor": torch.ones(1)}}
    state.save({"epoch": 1}, values={"heads": values})

    again = opened(tmp_path)
    assert again.facts == {"epoch": 1}
    assert again.file("features.npy").read_bytes() == b"features"
    loaded = again.load("heads")
    assert torch.equal(loaded["weight"], values["weight"])
    assert loaded["nested"]["steps"] == 2


def test_what_is_replaced_or_dropped_leaves_the_folder(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.save({}, values={"a": {"n": 1}, "b": {"n": 1}})
    state.save({"epoch": 2}, values={"a": {"n": 2}}, drop=["b"])
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["2-a.pt", "state.json"]
    assert opened(tmp_path).load("a") == {"n": 2}


@pytest.mark.parametrize("at", ["values", "manifest"])
def test_a_save_that_is_cut_off_leaves_the_state_before(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = opened(tmp_path)
    state.save({"epoch": 1}, values={"a": {"n": 1}})
    with monkeypatch.context() as patch:

        def cut_off(*_args: object, **_options: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(torch, "save", cut_off) if at == "values" else patch.setattr(json, "dumps", cut_off)
        with pytest.raises(KeyboardInterrupt):
            state.save({"epoch": 2}, values={"a": {"n": 2}})
    again = opened(tmp_path)
    assert again.facts == {"epoch": 1}
    assert again.load("a") == {"n": 1}
    again.save({"epoch": 2}, values={"a": {"n": 2}})
    assert len(list((tmp_path / "state").iterdir())) == 2, "nothing of the save that was cut off stays"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "vise-state-0", "saves": 1, "files": {}, "facts": {}}']
)
def test_a_state_that_cannot_be_read_says_how_to_start_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/state.json").write_text(text)
    with pytest.raises(BadCheckpoint, match=r"state\.json: not .*; delete .*state to start over"):
        opened(tmp_path)


def test_no_code_of_a_file_is_run_and_no_nan_is_saved(tmp_path: Path) -> None:
    state = opened(tmp_path)
    state.save({}, values={"a": {"n": 1}})
    torch.save({"payload": Path}, state.file("a"))
    with pytest.raises(BadCheckpoint, match="not a saved state"):
        state.load("a")
    with pytest.raises(ValueError, match="JSON"):
        state.save({"loss": math.nan})


def test_a_stop_is_asked_for_by_the_reporter(tmp_path: Path) -> None:
    reporter = LocalReporter(tmp_path, stop=True)
    with pytest.raises(Stopped, match="the state is saved"):
        SavedState(tmp_path, reporter).raise_if_stopped()


def test_a_network_with_shared_weights_and_a_state_of_its_own_goes_on_exactly(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)
            self.outer = nn.Linear(3, 3)
            self.outer.weight = self.inner.weight
            self.draws = torch.Generator().manual_seed(0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.outer(self.inner(x + torch.rand(3, generator=self.draws)))

        def get_extra_state(self) -> torch.Tensor:
            return self.draws.get_state()

        def set_extra_state(self, state: torch.Tensor) -> None:
            self.draws.set_state(state)

    def training() -> Training:
        torch.manual_seed(0)
        network = Tied()
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        return Training(network, optimizer, torch.amp.GradScaler("cpu", enabled=False), torch.device("cpu"))

    def step(one: Training) -> float:
        one.optimizer.zero_grad()
        loss = one.network(torch.randn(4, 3)).square().mean()
        loss.backward()
        one.optimizer.step()
        return float(loss.detach())

    first = training()
    step(first)
    opened(tmp_path).save({}, values={"training": first.state_dict()})
    losses = [step(first) for _ in range(3)]
    again = training()
    again.load_state_dict(opened(tmp_path).load("training"))
    assert [step(again) for _ in range(3)] == losses
    assert again.network.outer.weight is again.network.inner.weight
