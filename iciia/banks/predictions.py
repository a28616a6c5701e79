"""A bank of predictions: of each image only the highest few class probabilities are kept, and which classes these are."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.banks.bank import STEP_BYTES, FeatureBank, through_storage
from iciia.banks.storage import SCALE_BYTES, has_scale
from iciia.policies import Evidence, Policy
from iciia.policies.plan import Keeper, Plan

CLASS_BYTES = 2
"""Bytes of a class's number, an int16 beside each probability."""

MOST_CLASSES = 2**15
"""Classes that an int16 can number."""


@dataclass(frozen=True)
class PredictionBank:
    """The banks of K clients that have all seen the same number of images, and what else their context remembers.

    Args:
        shares: The highest `keep` probabilities of each image, one vector an image.
        numbers: Their classes, int16 [1, K, keep, N].
        belief: What is thought of the client's superclass, float32 [K, S]; S is 0 if classes are not grouped.
        trust: What is thought of the priors, float32 [K, E].
    """

    shares: FeatureBank
    numbers: Tensor
    belief: Tensor
    trust: Tensor

    @staticmethod
    def empty(
        clients: int | NDArray[np.int64],
        capacity: int,
        keep: int,
        sizes: tuple[int, int],
        belief: Tensor,
        trust: Tensor,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> "PredictionBank":
        """Banks that hold nothing.

        Args:
            clients: Client numbers, which random policies draw by, or how many clients.
            capacity: N, the most images a bank may hold.
            keep: Probabilities kept of an image.
            sizes: D and C, which policies are told.
            belief: The belief of a client that has seen nothing, [S].
            trust: Likewise, [E].
            storage: How probabilities are kept, one of `iciia.banks.storage.STORAGES`.
            policy: Which images a full bank keeps; None for the latest.
            seed: The scenario's seed.
        """
        like = FeatureBank.empty(clients, capacity, 1, *sizes, storage, policy, seed, trust.device)
        count = like.entries.shape[1]
        entries = torch.zeros(1, count, keep, capacity, dtype=storage, device=trust.device)
        return PredictionBank(
            replace(like, entries=entries),
            torch.zeros(1, count, keep, capacity, dtype=torch.int16, device=trust.device),
            belief[: None if capacity else 0].repeat(count, 1),  # without a bank nothing is remembered
            trust[: None if capacity else 0].repeat(count, 1),
        )

    @property
    def capacity(self) -> int:
        """N, the most images a bank may hold."""
        return self.shares.capacity

    @property
    def seen(self) -> int:
        """Images that each client has seen."""
        return self.shares.seen

    @property
    def storage(self) -> torch.dtype:
        """How probabilities are kept."""
        return self.shares.storage

    @property
    def keeper(self) -> Keeper:
        """Knows which image lies where."""
        return self.shares.keeper

    @property
    def state_bytes(self) -> int:
        """Bytes of one client's bank, measured."""
        more = (self.numbers, self.belief, self.trust)
        return self.shares.state_bytes + sum(part.nbytes for part in more) // len(self.trust)

    def plan(self, evidence: Evidence) -> tuple[Plan, "PredictionBank"]:
        """Where the images that arrive next go, and the banks after them, which still have to be written."""
        plan, shares = self.shares.plan(evidence)
        return plan, replace(self, shares=shares)

    def past(self, some: slice, classes: int) -> Tensor:
        """The kept probabilities of the images in some clients' banks, all others 0, float32 [k, N, C]."""
        shares = self.shares.past(0, some, torch.float32).transpose(1, 2)
        return spread(shares, self.numbers[0, some].transpose(1, 2).long(), classes)

    def write(self, some: slice, shares: Tensor, numbers: Tensor, plan: Plan) -> None:
        """Puts the arrived images that stay into their slots.

        Args:
            some: Rows of the clients.
            shares: The probabilities kept of the chunk's images, float32 [k, T, keep].
            numbers: Their classes, int64 [k, T, keep].
            plan: The chunk's plan.
        """
        _, kept = through_storage(shares.transpose(1, 2), self.storage)
        self.shares.write(0, some, kept, plan)
        of_classes = replace(self.shares, entries=self.numbers, scales=None)
        of_classes.write(0, some, (numbers.transpose(1, 2).to(torch.int16), None), plan)


def highest(probabilities: Tensor, keep: int, storage: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """What a bank keeps of probabilities, [k, C]: all but the highest `keep` are 0, and these are as the storage rounds them.

    Returns:
        The probabilities as they come back, [k, C], and what is kept: probabilities [k, keep] and classes, int64 [k, keep].
    """
    shares, numbers = probabilities.topk(keep, dim=-1)
    found, _ = through_storage(shares.unsqueeze(-1), storage)
    shares = found.squeeze(-1)
    return spread(shares, numbers, probabilities.shape[-1]), shares, numbers


def spread(shares: Tensor, numbers: Tensor, classes: int) -> Tensor:
    """Probabilities of numbered classes among zeros: [..., keep] -> [..., C]."""
    return shares.new_zeros(*shares.shape[:-1], classes).scatter_(-1, numbers, shares)


def prediction_bytes(keep: int, capacity: int, storage: torch.dtype, extra: int) -> int:
    """Bytes of one client's full bank under fifo: `keep` probabilities an image with their classes, its step of arrival, and
    `extra` float32 numbers a client.

    With 32 kept of each of 16 images in float32 and 77 numbers beside them: 16 * (32 * (4 + 2) + 4) + 77 * 4 = 3,444.
    """
    scale = SCALE_BYTES if has_scale(storage) else 0
    return capacity * (keep * (storage.itemsize + CLASS_BYTES) + scale + STEP_BYTES) + (4 * extra if capacity else 0)
