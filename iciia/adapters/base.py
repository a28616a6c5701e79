"""The interface of an adapter, and what it is shown."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.overhead import Cost
from iciia.policies import Evidence

Sees = Literal["images", "prior"]


@dataclass(frozen=True)
class Chunk:
    """A piece of the streams of K clients, as an adapter sees it. No label is in it.

    Args:
        features: The backbone's features, [K, T, D].
        logits: The backbone's logits, [K, T, C].
        prior: The true class prior at each step, [K, T, C], for adapters that declare `sees = "prior"`; None for all others.
    """

    features: Tensor
    logits: Tensor
    prior: Tensor | None = None

    @cached_property
    def evidence(self) -> Evidence:
        """What bank policies see of it, worked out once for all adapters."""
        return Evidence(self.features, self.logits)

    def at(self, places: NDArray[np.int64]) -> "Chunk":
        """The images at some places, [K, n] or the same [n] for all clients, in that order."""
        parts = (self.features, self.logits) if self.prior is None else (self.features, self.logits, self.prior)
        index = torch.from_numpy(np.broadcast_to(places, (len(self.features), places.shape[-1])).copy())
        rows = torch.arange(len(index)).unsqueeze(1)
        return Chunk(*(part[rows, index] for part in parts))


class Adapter(ABC):
    """Predicts every image of a stream from the image itself and what was known before it.

    A state is whatever `start` returns; it must be picklable and is never shared between clients. `predict` must be causal:
    the scores at step t may use the chunk up to and including t and the state, and splitting a chunk must change nothing but
    the last bits.
    """

    kind: ClassVar[str]
    sees: ClassVar[Sees] = "images"
    capacity: int | None = None

    @abstractmethod
    def start(self, clients: NDArray[np.int64], seed: int) -> Any:
        """The state of clients that have seen nothing.

        Args:
            clients: Their numbers, [K]. Whatever is random is a pure function of seed, client and step (`iciia.counter`).
            seed: The scenario's seed.
        """

    @abstractmethod
    def predict(self, state: Any, chunk: Chunk) -> tuple[Tensor, Any]:
        """Scores [K, T, C], higher is likelier, and the state after the chunk. The given state may be written over: a bank is too
        large to copy."""

    def predict_last(self, clients: NDArray[np.int64], seed: int, chunk: Chunk) -> Tensor:
        """Scores [K, C] of the last image of sets, [K, n], whose other images are all that was seen before, in their order."""
        scores, _ = self.predict(self.start(clients, seed), chunk)
        return scores[:, -1]

    def predict_set(self, clients: NDArray[np.int64], seed: int, chunk: Chunk) -> Tensor:
        """Scores [K, n, C] of whole sets, [K, n]: each image as if it had come last."""
        places = np.arange(chunk.features.shape[1])
        last = [np.append(np.delete(places, target), target) for target in places]
        return torch.stack([self.predict_last(clients, seed, chunk.at(order)) for order in last], dim=1)

    @abstractmethod
    def cost(self) -> Cost:
        """What one client pays for one image."""
