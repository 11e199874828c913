import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vise_core.evaluate.linear.heads import HeadBatch

RATES, DECAYS = [0.5, 0.05, 0.5], [0.01, 0.1, 0.0]
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(60, 8, generator=GENERATOR)
Y = torch.randint(0, 4, (60,), generator=GENERATOR)


def batches(epochs: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(X[i : i + 25], Y[i : i + 25]) for _ in range(epochs) for i in range(0, 60, 25)]


def alone(head: nn.Linear, rate: float, decay: float, optimizer: str, epochs: int) -> nn.Linear:
    """Ordinary training of one head with torch's own optimiser."""
    head = copy.deepcopy(head)
    if optimizer == "sgd":
        step: torch.optim.Optimizer = torch.optim.SGD(
            head.parameters(), rate, momentum=0.9, weight_decay=decay
        )
    else:
        step = torch.optim.AdamW(head.parameters(), rate, weight_decay=decay)
    for x, y in batches(epochs):
        step.zero_grad()
        cross_entropy(head(x), y).backward()
        step.step()
    return head


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_heads_trained_together_equal_heads_trained_one_after_the_other(optimizer):
    torch.manual_seed(0)
    head = nn.Linear(8, 4)
    together = HeadBatch([head], DECAYS, optimizer, momentum=0.9)
    for x, y in batches(10):
        losses = together.step(x[None], y[None], torch.tensor([RATES]))
    for j, (rate, decay) in enumerate(zip(RATES, DECAYS, strict=True)):
        single = alone(head, rate, decay, optimizer, 10)
        torch.testing.assert_close(together.weight[0, j], single.weight.detach(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.bias[0, j], single.bias.detach(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.logits(0, X)[j], single(X).detach(), atol=1e-5, rtol=1e-5)
    assert losses.shape == (1, 3)
    assert not torch.equal(together.weight[0, 0], together.weight[0, 2])


def test_losses_are_the_mean_cross_entropies_before_the_step():
    heads = [nn.Linear(8, 4), nn.Linear(8, 4)]
    together = HeadBatch(heads, DECAYS, "sgd", momentum=0.9)
    losses = together.step(X.view(2, 30, 8), Y.view(2, 30), torch.tensor([RATES] * 2), [30, 20])
    expected = [cross_entropy(heads[0](X[:30]), Y[:30]), cross_entropy(heads[1](X[30:50]), Y[30:50])]
    torch.testing.assert_close(losses, torch.stack(expected).detach()[:, None].expand(2, 3))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_splits_stand_still_when_their_batches_are_used_up(optimizer):
    heads = [nn.Linear(8, 4), nn.Linear(8, 4)]
    together = HeadBatch(heads, DECAYS, optimizer, momentum=0.9)
    rates = torch.tensor([RATES] * 2)
    alone = [HeadBatch([head], DECAYS, optimizer, momentum=0.9) for head in heads]
    for _ in range(3):
        together.step(X.view(2, 30, 8), Y.view(2, 30), rates)
        together.step(X[None, :7], Y[None, :7], rates[:1])
        alone[0].step(X[None, :30], Y[None, :30], rates[:1])
        alone[0].step(X[None, :7], Y[None, :7], rates[:1])
        alone[1].step(X[None, 30:], Y[None, 30:], rates[:1])
    for split, single in enumerate(alone):
        torch.testing.assert_close(together.weight[split], single.weight[0])
        torch.testing.assert_close(together.bias[split], single.bias[0])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_training_goes_on_from_a_state_exactly(optimizer):
    heads, rates = [nn.Linear(8, 4), nn.Linear(8, 4)], torch.tensor([RATES] * 2)

    def steps(batch: HeadBatch, times: int, g: int = 3) -> None:
        for _ in range(times):
            batch.step(X.view(2, 30, 8), Y.view(2, 30), rates[:, :g])

    through, cut = (HeadBatch(heads, DECAYS, optimizer, momentum=0.9) for _ in range(2))
    for batch in (through, cut):
        steps(batch, 2)
        batch.keep([[0, 1], [0]])
        steps(batch, 2, g=2)
    resumed = HeadBatch([nn.Linear(8, 4), nn.Linear(8, 4)], DECAYS, optimizer, momentum=0.9)
    resumed.keep([[0, 1], [0]])
    for split in range(2):
        resumed.load_state(split, cut.state(split))
    for batch in (through, resumed):
        steps(batch, 2, g=2)
    for split, count in enumerate((2, 1)):
        assert torch.equal(resumed.weight[split, :count], through.weight[split, :count])
        assert torch.equal(resumed.bias[split, :count], through.bias[split, :count])
    assert resumed.logits(1, X).shape == (1, 60, 4)
