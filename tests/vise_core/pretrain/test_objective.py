"""The loss and the schedule against numbers worked out by hand."""

import math

import pytest
import torch

from vise_core.pretrain.objective import (
    NO_LABEL,
    comment_targets,
    hard_cross_entropy,
    head_losses,
    soft_cross_entropy,
)
from vise_core.pretrain.schedule import learning_rate
from vise_core.specs.pretrain import EvenDecay, PretrainSpec


def test_targets_carry_one_nth_for_each_of_n_labels() -> None:
    labels = [[2, 0, 2, 2], [1], []]
    frequency = [[0.25, 0, 0.75], [0, 1, 0], [0, 0, 0]]
    unique = [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]]
    assert comment_targets(labels, 3).tolist() == frequency
    assert comment_targets(labels, 3, "unique").tolist() == unique


def test_soft_targets_are_averaged_over_images_that_have_labels() -> None:
    # Image 0: logits (ln 1, ln 2, ln 5) are probabilities 1/8, 2/8, 5/8; image 1: uniform; image 2: no label.
    logits = torch.tensor([[0.0, math.log(2), math.log(5)], [0.0, 0, 0], [9.0, -9, 0]])
    targets = comment_targets([[2, 0, 2, 2], [1], []], 3)
    first = -(0.25 * math.log(1 / 8) + 0.75 * math.log(5 / 8))
    expected = (first + math.log(3)) / 2
    assert soft_cross_entropy(logits, targets).item() == pytest.approx(expected, rel=1e-6)
    reference = torch.nn.functional.cross_entropy(logits[:2], targets[:2])
    assert soft_cross_entropy(logits, targets).item() == pytest.approx(reference.item(), rel=1e-6)


def test_reactions_without_a_label_take_no_part() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [5.0, 1.0]])
    labels = torch.tensor([1, NO_LABEL])
    assert hard_cross_entropy(logits, labels).item() == pytest.approx(math.log(4 / 3), rel=1e-6)


def test_a_batch_in_which_nobody_has_a_label_costs_nothing_and_has_gradients() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    loss = soft_cross_entropy(logits, torch.zeros(2, 3)) + hard_cross_entropy(
        logits, torch.full((2,), NO_LABEL)
    )
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0


def test_the_learning_rate_of_the_paper_at_given_iterations() -> None:
    # App. C.1: 0.1/256 x 1920 = 0.75; 5 % warm-up from 0; then x0.1 at 30, 60 and 90 %.
    spec = PretrainSpec()
    rates = [learning_rate(i, 1000, spec) for i in (0, 25, 50, 299, 300, 600, 899, 900, 999)]
    assert rates == pytest.approx([0, 0.375, 0.75, 0.75, 0.075, 0.0075, 0.0075, 0.00075, 0.00075])


def test_ten_halvings_are_spread_evenly() -> None:
    spec = PretrainSpec(decay=EvenDecay(), warmup=0, batch=256)
    rates = [learning_rate(i, 1100, spec) for i in range(1100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.1 / 1024)
    changes = [i for i in range(1, 1100) if rates[i] != rates[i - 1]]
    assert changes == list(range(100, 1100, 100))


def test_the_mean_is_over_images_not_over_labels() -> None:
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    many = comment_targets([[0, 1, 2, 3, 4] * 20, [2]], 5)
    each = torch.nn.functional.cross_entropy(logits, many, reduction="none")
    torch.testing.assert_close(soft_cross_entropy(logits, many), each.mean())


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    soft = comment_targets([[1], [], [], [2, 3], [4], [4, 4]], 5)
    hard = torch.tensor([1, 2, NO_LABEL, 3, NO_LABEL, 4])
    targets, counts = {"comments": soft, "reactions": hard}, {"comments": 4, "reactions": 4}
    parts = [
        head_losses(
            dict.fromkeys(targets, logits[i : i + 2]), {n: t[i : i + 2] for n, t in targets.items()}, counts
        )
        for i in (0, 2, 4)
    ]
    torch.testing.assert_close(sum(p["comments"] for p in parts), soft_cross_entropy(logits, soft))
    torch.testing.assert_close(sum(p["reactions"] for p in parts), hard_cross_entropy(logits, hard))


def test_half_precision_logits_are_summed_in_full() -> None:
    logits = torch.randn(3, 5000, generator=torch.Generator().manual_seed(0))
    targets = comment_targets([[1], [2], [3]], 5000)
    assert soft_cross_entropy(logits.half(), targets).dtype == torch.float32
