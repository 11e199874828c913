"""All linear heads of a grid, trained side by side on the same features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

State = dict[str, Tensor]

ADAMW_BETAS, ADAMW_EPS = (0.9, 0.999), 1e-8


class HeadBatch:
    """g softmax classifiers with a learning rate and weight decay each, stepped together.

    Every head sees the same batches in the same order, so head j ends where training it alone with
    ``torch.optim.SGD`` or ``AdamW`` would end; one matrix product serves them all.

    Attributes
    ----------
    weight: (g, classes, features) float32. bias: (g, classes) float32.
    """

    def __init__(
        self,
        head: nn.Linear,
        weight_decays: Sequence[float],
        optimizer: Literal["sgd", "adamw"],
        momentum: float,
    ) -> None:
        """All heads begin as copies of ``head``."""
        g = len(weight_decays)
        self.weight = head.weight.detach().float().repeat(g, 1, 1)
        self.bias = head.bias.detach().float().repeat(g, 1)
        self._decay = torch.tensor(weight_decays, dtype=torch.float32, device=self.weight.device)
        self._optimizer, self._momentum = optimizer, momentum
        self._first = [torch.zeros_like(self.weight), torch.zeros_like(self.bias)]
        self._second = [torch.zeros_like(self.weight), torch.zeros_like(self.bias)]
        self._steps = 0

    def logits(self, features: Tensor) -> Tensor:
        """(n, features) float32 → (g, n, classes)."""
        g, classes, dim = self.weight.shape
        flat = features @ self.weight.view(g * classes, dim).T
        return (flat.view(-1, g, classes) + self.bias).transpose(0, 1)

    def losses(self, features: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of each head, (g,)."""
        logits = self.logits(features)
        return torch.logsumexp(logits, -1).mean(1) - logits[:, torch.arange(len(labels)), labels].mean(1)

    def step(self, features: Tensor, labels: Tensor, rates: Tensor) -> Tensor:
        """One optimiser step on a batch: (n, features), (n,) int64, (g,) learning rates.

        Returns the (g,) losses before the step.
        """
        logits = self.logits(features)
        log_p = torch.log_softmax(logits, -1)
        at = torch.arange(len(labels), device=labels.device)
        losses = -log_p[:, at, labels].mean(1)
        # d(mean cross-entropy)/d(logits) = (p - one-hot) / n
        slope = log_p.exp()
        slope[:, at, labels] -= 1
        slope /= len(labels)
        gradients = [slope.transpose(1, 2) @ features, slope.sum(1)]
        self._steps += 1
        update = self._sgd if self._optimizer == "sgd" else self._adamw
        for i, (value, gradient) in enumerate(zip((self.weight, self.bias), gradients, strict=True)):
            shape = (-1,) + (1,) * (value.dim() - 1)
            update(i, value, gradient, rates.view(shape), self._decay.view(shape))
        return losses

    def _sgd(self, i: int, value: Tensor, gradient: Tensor, rate: Tensor, decay: Tensor) -> None:
        # torch.optim.SGD: decay joins the gradient, momentum without damping.
        self._first[i].mul_(self._momentum).add_(gradient + decay * value)
        value -= rate * self._first[i]

    def _adamw(self, i: int, value: Tensor, gradient: Tensor, rate: Tensor, decay: Tensor) -> None:
        beta1, beta2 = ADAMW_BETAS
        value *= 1 - rate * decay
        self._first[i].lerp_(gradient, 1 - beta1)
        self._second[i].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        spread = (self._second[i] / (1 - beta2**self._steps)).sqrt_().add_(ADAMW_EPS)
        value -= rate / (1 - beta1**self._steps) * self._first[i] / spread

    def keep(self, positions: Sequence[int]) -> None:
        """Go on with these heads only, in this order; each as if the others had never been there."""
        at = torch.tensor(positions, dtype=torch.int64, device=self.weight.device)
        self.weight, self.bias = self.weight[at], self.bias[at]
        self._decay = self._decay[at]
        self._first = [moment[at] for moment in self._first]
        self._second = [moment[at] for moment in self._second]

    def state(self) -> State:
        """Everything that training goes on from, on the CPU."""
        tensors = {"weight": self.weight, "bias": self.bias, "steps": torch.tensor(self._steps)}
        for name, pair in (("first", self._first), ("second", self._second)):
            tensors |= {f"{name}.weight": pair[0], f"{name}.bias": pair[1]}
        return {name: tensor.cpu().clone() for name, tensor in tensors.items()}

    def load_state(self, state: State) -> None:
        """Go on from what ``state`` gave."""
        self.weight.copy_(state["weight"])
        self.bias.copy_(state["bias"])
        for name, pair in (("first", self._first), ("second", self._second)):
            pair[0].copy_(state[f"{name}.weight"])
            pair[1].copy_(state[f"{name}.bias"])
        self._steps = int(state["steps"])
