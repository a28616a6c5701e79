"""The bank: a client's unlabelled past, for all clients of a cohort at once.

A bank never meets a label. Which images it holds when a target arrives depends on what arrived before, never on an
adapter's output, so for a whole chunk of targets it can be told beforehand, as a mask over the bank's slots and the
chunk's own images. Attention then takes a few large products instead of one small one for each image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

STEP_BYTES = 4
"""Bytes of an image's step of arrival, an int32 beside each slot."""


@dataclass(frozen=True)
class FeatureBank:
    """First-in first-out banks of K clients that have all seen the same number of images.

    Args:
        entries: What is kept of each image, [G, K, N, D] for G vectors an image (keys and values of each layer), oldest
            slot first. Unused slots come first and hold zeros.
        seen: Images that each client has seen.
    """

    entries: Tensor
    seen: int = 0

    @staticmethod
    def empty(
        clients: int, capacity: int, vectors: int, features: int, device: torch.device | None = None
    ) -> "FeatureBank":
        """Banks of `capacity` images, each kept as `vectors` vectors of `features` float32 numbers.

        Raises:
            ValueError: The capacity is negative.
        """
        if capacity < 0:
            raise ValueError(f"got a bank capacity of {capacity}; expected 0 or more")
        return FeatureBank(torch.zeros(vectors, clients, capacity, features, device=device))

    @property
    def capacity(self) -> int:
        """N, the most images a bank may hold."""
        return self.entries.shape[2]

    def visible(self, targets: int) -> Tensor:
        """Which images each of the next targets may attend to.

        Args:
            targets: T, the number of images that arrive next.

        Returns:
            bool [T, N + T] over the bank's slots followed by the arriving images: target t sees itself and what its
            bank holds when it arrives, that is the N images before it.
        """
        device = self.entries.device
        arrival = torch.arange(self.capacity + targets, device=device) + self.seen - self.capacity
        target = torch.arange(targets, device=device).unsqueeze(1) + self.seen
        return (arrival >= 0) & (arrival <= target) & (arrival >= target - self.capacity)

    def remember(self, arrived: Tensor) -> "FeatureBank":
        """The banks after images have arrived.

        Args:
            arrived: What is kept of them, [G, K, T, D], in order of arrival.

        Returns:
            New banks; these stay as they are.
        """
        if self.capacity == 0:
            return FeatureBank(self.entries, self.seen + arrived.shape[2])
        kept = torch.cat([self.entries, arrived], dim=2)[:, :, -self.capacity :]
        return FeatureBank(kept.contiguous(), self.seen + arrived.shape[2])
