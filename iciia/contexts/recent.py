"""What a client met lately: sums of earlier predictions, each weighted by its age.

An image that is a images old counts exp(-(a - 1) / s) at time scale s, so that the latest counts 1.
"""

from typing import Protocol

import torch
from torch import Tensor

from iciia.banks.predictions import highest
from iciia.policies.plan import Plan


class Recent(Protocol):
    """Earlier predictions of B clients, image by image."""

    def sums(self, step: int) -> Tensor:
        """Weighted sums of what is remembered when a step's image arrives, [B, J, C] for J time scales."""
        ...

    def remember(self, probabilities: Tensor) -> Tensor:
        """Takes the prediction of the step's image, [B, C]; what is remembered of it."""
        ...


class Unbounded:
    """Everything is remembered and nothing is rounded, by a recursion that gradients go through: for training.

    Args:
        clients: B.
        classes: C.
        scales: Time scales, [J].
    """

    def __init__(self, clients: int, classes: int, scales: Tensor) -> None:
        self._decay = torch.exp(-1 / scales).unsqueeze(1)
        self._sums = scales.new_zeros(clients, len(scales), classes)

    def sums(self, step: int) -> Tensor:
        return self._sums

    def remember(self, probabilities: Tensor) -> Tensor:
        self._sums = self._sums * self._decay + probabilities.unsqueeze(1)
        return probabilities


class Banked:
    """What banks hold: those before a chunk, and the chunk's own images as its plan shows them.

    Args:
        plan: The chunk's plan.
        some: Which clients of it.
        held: The kept predictions in their banks, [B, N, C].
        age: Ages of these when the chunk's first image arrives, int64 [B or 1, N].
        keep: Probabilities kept of an image.
        storage: How.
        scales: Time scales, [J].
    """

    def __init__(
        self, plan: Plan, some: slice, held: Tensor, age: Tensor, keep: int, storage: torch.dtype, scales: Tensor
    ) -> None:
        clients, capacity, classes = held.shape
        visible = plan.of(some)
        targets = visible.shape[1]
        now = torch.arange(targets, device=held.device)
        ages = torch.cat([age.unsqueeze(1) + now.view(1, -1, 1), (now.view(-1, 1) - now).expand(len(age), -1, -1)], 2)
        weights = torch.exp(-(ages.clamp_min(1) - 1).unsqueeze(2) / scales.view(-1, 1))
        weights = weights * (visible & (ages > 0)).unsqueeze(2)  # [B or 1, T, J, N + T]
        self._weights = weights.expand(clients, -1, -1, -1)
        of_bank = self._weights[..., :capacity].flatten(1, 2) @ held  # once for the whole chunk
        self._of_bank = of_bank.unflatten(1, (targets, -1))
        self._capacity = capacity
        self._keep, self._storage = keep, storage
        self._chunk = held.new_zeros(clients, targets, classes)
        self.shares: list[Tensor] = []
        self.numbers: list[Tensor] = []

    def sums(self, step: int) -> Tensor:
        found = self._of_bank[:, step]
        if step == 0:
            return found
        weights = self._weights[:, step, :, self._capacity : self._capacity + step]
        return found + weights @ self._chunk[:, :step]

    def remember(self, probabilities: Tensor) -> Tensor:
        kept, shares, numbers = highest(probabilities, self._keep, self._storage)
        self._chunk[:, len(self.shares)] = kept
        self.shares.append(shares)
        self.numbers.append(numbers)
        return kept
