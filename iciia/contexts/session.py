"""ICIIA on a device: one client, one image at a time, the bank inside."""

from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from iciia.policies import Policy

Bank = TypeVar("Bank")
"""What a module keeps of its clients."""


class StreamModule(Protocol[Bank]):
    """What a session needs of a module. The module makes sessions of itself, so that it is not imported here."""

    settings: dict[str, Any]

    def eval(self) -> "StreamModule[Bank]":
        """Sets it to evaluation."""
        ...

    def empty_bank(
        self,
        clients: int,
        capacity: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> Bank:
        """Banks for K clients that have seen nothing."""
        ...

    def __call__(self, features: Tensor, backbone_logits: Tensor, bank: Bank) -> tuple[Tensor, Bank]:
        """Predicts a chunk of every client's stream."""
        ...


class Session(Generic[Bank]):
    """What an application would ship.

    Args:
        module: The trained module.
        capacity: N, the most images the bank may hold.
        storage: How the bank keeps its numbers.
        policy: Which images a full bank keeps; None for the latest.
        seed: Seed of a random policy's draws; the session is client 0.

    Attributes:
        bank: The client's bank; replace it by an empty one to forget.
    """

    def __init__(
        self,
        module: StreamModule[Bank],
        capacity: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> None:
        self.module = module.eval()
        self.bank = module.empty_bank(1, capacity, storage, policy, seed)

    @torch.inference_mode()
    def __call__(self, feature: Tensor, backbone_logits: Tensor) -> Tensor:
        """Predicts one image and remembers it.

        Args:
            feature: The backbone's feature vector, [D].
            backbone_logits: The backbone's logits, [C].

        Returns:
            Logits, [C].
        """
        logits, self.bank = self.module(feature[None, None], backbone_logits[None, None], self.bank)
        return logits[0, 0]
