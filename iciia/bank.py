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
        entries: What is kept of each image, [G, K, D, N] for G vectors an image, in the storage's dtype; oldest slot first.
            Slots that are not used yet come first and hold zeros.
        seen: Images that each client has seen.
    """

    entries: Tensor
    seen: int = 0

    @staticmethod
    def empty(
        clients: int,
        capacity: int,
        vectors: int,
        features: int,
        storage: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> "FeatureBank":
        """Banks of `capacity` images, each kept as `vectors` vectors of `features` numbers.

        Raises:
            ValueError: The capacity is negative.
        """
        if capacity < 0:
            raise ValueError(f"got a bank capacity of {capacity}; expected 0 or more")
        return FeatureBank(torch.zeros(vectors, clients, features, capacity, dtype=storage, device=device))

    @property
    def capacity(self) -> int:
        """N, the most images a bank may hold."""
        return self.entries.shape[3]

    @property
    def state_bytes(self) -> int:
        """Bytes of one client's bank when it is full: its entries and each one's step of arrival."""
        vectors, _, features, capacity = self.entries.shape
        return capacity * (vectors * features * self.entries.element_size() + STEP_BYTES)

    def held(self, targets: int) -> Tensor:
        """Whether slot n of the bank that target t meets is in use, bool [T, N]; oldest slot first."""
        arrival = self._steps(self.capacity + targets - 1) if self.capacity else self._steps(0)
        return (arrival >= 0).unfold(0, self.capacity, 1) if self.capacity else arrival.bool().expand(targets, 0)

    def visible(self, targets: int) -> Tensor:
        """Which images each of the next targets may attend to.

        Args:
            targets: T, the number of images that arrive next.

        Returns:
            bool [T, N + T] over the bank's slots followed by the arriving images: target t sees itself and what its
            bank holds when it arrives, that is the N images before it.
        """
        arrival = self._steps(self.capacity + targets)
        target = torch.arange(targets, device=self.entries.device).unsqueeze(1) + self.seen
        return (arrival >= 0) & (arrival <= target) & (arrival >= target - self.capacity)

    def remember(self, arrived: Tensor, count: int) -> "FeatureBank":
        """The banks after images have arrived.

        Args:
            arrived: What is kept of the last of them, [G, K, D, S], in order of arrival; at least as many as the bank can hold.
            count: How many have arrived.

        Returns:
            New banks; these stay as they are.
        """
        arrived = arrived.to(self.entries.dtype)
        room = self.capacity - arrived.shape[3]
        if room > 0:
            arrived = torch.cat([self.entries[..., -room:], arrived], dim=3)
        return FeatureBank(arrived[..., arrived.shape[3] - self.capacity :].contiguous(), self.seen + count)

    def _steps(self, count: int) -> Tensor:
        """Step of arrival of the bank's slots and of the images that arrive next; negative where a slot is not in use."""
        return torch.arange(count, device=self.entries.device) + self.seen - self.capacity
