"""The bank: a client's unlabelled past, for all clients of a cohort at once.

A bank never meets a label. Which images it holds when a target arrives depends on what arrived before, never on an
adapter's output, so for a whole chunk of targets it is planned beforehand (`iciia.policies.plan`), as a mask over the bank's
slots and the chunk's own images. Attention then takes a few large products instead of one small one for each image.

Banks are written in place: at a capacity of 512 or 4,096, copying what stays would cost more than attending to it.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.banks.storage import decode, encode, has_scale
from iciia.policies import Evidence, Fifo, Policy
from iciia.policies.plan import FifoKeeper, Keeper, Plan, PolicyKeeper

STEP_BYTES = 4
"""Bytes of an image's step of arrival, an int32 beside each slot."""


@dataclass(frozen=True)
class FeatureBank:
    """The banks of K clients that have all seen the same number of images.

    Args:
        entries: What is kept of each image, [G, K, D, N] for G vectors an image, in the storage's dtype. What lies in free slots
            means nothing.
        keeper: Knows which image lies where, and plans where the next ones go.
        scales: Scale of each vector, float32 [G, K, N]; None if the storage needs none.
    """

    entries: Tensor
    keeper: Keeper
    scales: Tensor | None = None

    @staticmethod
    def empty(
        clients: int | NDArray[np.int64],
        capacity: int,
        vectors: int,
        features: int,
        classes: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> "FeatureBank":
        """Banks that hold nothing.

        Args:
            clients: Client numbers, which random policies draw by, or how many clients.
            capacity: N, the most images a bank may hold.
            vectors: G, the vectors kept of an image.
            features: D.
            classes: C.
            storage: How numbers are kept, one of `iciia.banks.storage.STORAGES`.
            policy: Which images a full bank keeps; None for the latest.
            seed: The scenario's seed.
            device: Where.

        Raises:
            ValueError: The capacity is negative.
        """
        if capacity < 0:
            raise ValueError(f"got a bank capacity of {capacity}; expected 0 or more")
        numbers = np.arange(clients) if isinstance(clients, int) else clients
        keeper: Keeper
        if policy is None or type(policy) is Fifo:
            keeper = FifoKeeper(capacity, device=device)
        else:
            slots = policy.start(len(numbers), capacity, features, classes)
            keeper = PolicyKeeper(policy, slots, numbers, seed, device=device)
        entries = torch.zeros(vectors, len(numbers), features, capacity, dtype=storage, device=device)
        scales = torch.zeros(vectors, len(numbers), capacity, device=device) if has_scale(storage) else None
        return FeatureBank(entries, keeper, scales)

    @property
    def capacity(self) -> int:
        """N, the most images a bank may hold."""
        return self.entries.shape[3]

    @property
    def seen(self) -> int:
        """Images that each client has seen."""
        return self.keeper.seen

    @property
    def storage(self) -> torch.dtype:
        """How numbers are kept."""
        return self.entries.dtype

    @property
    def state_bytes(self) -> int:
        """Bytes of one client's bank, measured: its entries, their scales, and what its policy keeps; at least each image's step of
        arrival."""
        clients = self.entries.shape[1]
        kept = self.entries.nbytes + (0 if self.scales is None else self.scales.nbytes)
        if isinstance(self.keeper, PolicyKeeper):
            return (kept + self.keeper.slots.nbytes) // clients
        return kept // clients + self.capacity * STEP_BYTES

    def past(self, vector: int, some: slice, dtype: torch.dtype) -> Tensor:
        """One vector of each image in some clients' banks, [k, D, N]."""
        scale = None if self.scales is None else self.scales[vector, some]
        return decode(self.entries[vector, some], scale, dtype)

    def write(self, vector: int, some: slice, arrived: tuple[Tensor, Tensor | None], plan: Plan) -> None:
        """Puts one vector of the arrived images that stay into their slots.

        Args:
            vector: Which of the G vectors.
            some: Rows of the clients.
            arrived: Their encoded images, [k, D, T], and scales, [k, T].
            plan: The chunk's plan.
        """
        numbers, scales = arrived
        entries = self.entries[vector, some]
        if plan.client is None:
            if len(plan.slot):
                _put(entries, plan.slot, numbers.detach()[:, :, -len(plan.slot) :])
                if self.scales is not None and scales is not None:
                    _put(self.scales[vector, some], plan.slot, scales.detach()[:, -len(plan.slot) :])
            return
        start, stop, _ = some.indices(self.entries.shape[1])
        bounds = torch.tensor([start, stop], device=plan.client.device)
        first, last = torch.searchsorted(plan.client, bounds).tolist()
        client, slot, arrival = plan.client[first:last] - start, plan.slot[first:last], plan.arrival[first:last]
        entries[client, :, slot] = numbers.detach()[client, :, arrival]
        if self.scales is not None and scales is not None:
            self.scales[vector, some][client, slot] = scales.detach()[client, arrival]

    def plan(self, evidence: Evidence) -> tuple[Plan, "FeatureBank"]:
        """Where the images that arrive next go, and the banks after them, which still have to be written."""
        plan, keeper = self.keeper.plan(evidence)
        return plan, replace(self, keeper=keeper)


def _put(target: Tensor, slot: Tensor, values: Tensor) -> None:
    """Writes values, [..., S], into consecutive slots, which go round at the end: two runs are copied faster than single slots."""
    if len(slot) == 1:  # the slot may be unknown while a step is exported
        target.index_copy_(-1, slot, values)
        return
    first = int(slot[0])
    until_end = min(len(slot), target.shape[-1] - first)
    target[..., first : first + until_end] = values[..., :until_end]
    target[..., : len(slot) - until_end] = values[..., until_end:]


def through_storage(x: Tensor, storage: torch.dtype) -> tuple[Tensor, tuple[Tensor, Tensor | None]]:
    """What is left of vectors [K, D, T] after they have been in a bank, so that a chunk equals its steps in any storage; and what
    the bank keeps of them."""
    if storage == x.dtype:
        return x, (x, None)
    encoded = encode(x, storage)
    return decode(*encoded, x.dtype), encoded
