"""The interface of an adapter, and what it is shown."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from iciia.overhead import Cost

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
    def start(self, clients: int) -> Any:
        """The state of `clients` clients that have seen nothing."""

    @abstractmethod
    def predict(self, state: Any, chunk: Chunk) -> tuple[Tensor, Any]:
        """Scores [K, T, C], higher is likelier, and the state after the chunk. The given state stays as it is."""

    @abstractmethod
    def cost(self) -> Cost:
        """What one client pays for one image."""
