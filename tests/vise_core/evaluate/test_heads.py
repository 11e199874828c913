import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vise_core.evaluate.heads import HeadBatch

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
    together = HeadBatch(head, DECAYS, optimizer, momentum=0.9)
    for x, y in batches(10):
        losses = together.step(x, y, torch.tensor(RATES))
    for j, (rate, decay) in enumerate(zip(RATES, DECAYS, strict=True)):
        single = alone(head, rate, decay, optimizer, 10)
        torch.testing.assert_close(together.weight[j], single.weight.detach(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.bias[j], single.bias.detach(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.logits(X)[j], single(X).detach(), atol=1e-5, rtol=1e-5)
    assert losses.shape == (3,)
    assert not torch.equal(together.weight[0], together.weight[2])


def test_losses_are_the_mean_cross_entropies():
    head = nn.Linear(8, 4)
    together = HeadBatch(head, DECAYS, "sgd", momentum=0.9)
    expected = cross_entropy(head(X), Y).detach()
    torch.testing.assert_close(together.losses(X, Y), expected.repeat(3))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_training_goes_on_from_a_state_exactly(optimizer):
    head = nn.Linear(8, 4)
    through, cut = (HeadBatch(head, DECAYS, optimizer, momentum=0.9) for _ in range(2))
    for x, y in batches(4):
        through.step(x, y, torch.tensor(RATES))
    for x, y in batches(2):
        cut.step(x, y, torch.tensor(RATES))
    resumed = HeadBatch(nn.Linear(8, 4), DECAYS, optimizer, momentum=0.9)
    resumed.load_state(cut.state())
    for x, y in batches(2):
        resumed.step(x, y, torch.tensor(RATES))
    assert torch.equal(resumed.weight, through.weight)
    assert torch.equal(resumed.bias, through.bias)
