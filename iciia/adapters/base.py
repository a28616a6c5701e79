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

Sees = Literal["images", "prior", "past_labels"]
Gives = Literal["probabilities", "ranking", "label"]
Knows = Literal["nothing", "superclasses"]


@dataclass(frozen=True)
class Chunk:
    """A piece of the streams of K clients, as an adapter sees it. No label is in it.

    Args:
        features: The backbone's features, [K, T, D].
        logits: The backbone's logits, [K, T, C].
        prior: The true class prior at each step, [K, T, C], for adapters that declare `sees = "prior"`; None for all others.
        past_labels: The true class of the image before each step, int64 [K, T], -1 at a stream's start, for adapters that declare
            `sees = "past_labels"`; None for all others. So no chunk holds the label of its own last image.
    """

    features: Tensor
    logits: Tensor
    prior: Tensor | None = None
    past_labels: Tensor | None = None

    @cached_property
    def evidence(self) -> Evidence:
        """What bank policies see of it, worked out once for all adapters."""
        return Evidence(self.features, self.logits)

    def at(self, places: NDArray[np.int64]) -> "Chunk":
        """The images at some places, [K, n] or the same [n] for all clients, in that order."""
        index = torch.from_numpy(np.broadcast_to(places, (len(self.features), places.shape[-1])).copy())
        rows = torch.arange(len(index)).unsqueeze(1)
        prior = None if self.prior is None else self.prior[rows, index]
        return Chunk(self.features[rows, index], self.logits[rows, index], prior)


class Adapter(ABC):
    """Predicts every image of a stream from the image itself and what was known before it.

    A state is whatever `start` returns; it must be picklable and is never shared between clients. `predict` must be causal:
    the scores at step t may use the chunk up to and including t and the state, and splitting a chunk must change nothing but
    the last bits. `iciia.testing.check_adapter` checks all that.

    Attributes:
        kind: What scenarios call it.
        sees: What it is shown beside images; every table says so.
        knows: What it was told of how clients come about, beyond the source: `superclasses`, which classes clients meet
            together, by a list of them or by training on clients of that kind.
        gives: What its scores are. `probabilities`: their softmax is to be believed. `ranking`: only their order means something,
            so there is no likelihood and no calibration. `label`: only the highest does.
        of_classes: Whether it takes an image to have one class; attributes are refused then.
        capacity: The most images that it remembers of a client, if that is a setting.
        alarms: At which images of the latest chunk it said that the client's classes had changed, bool [K, T]; None if it does
            not detect that.
    """

    kind: ClassVar[str]
    sees: ClassVar[Sees] = "images"
    knows: Knows = "nothing"
    gives: ClassVar[Gives] = "probabilities"
    of_classes: ClassVar[bool] = True
    capacity: int | None = None
    alarms: NDArray[np.bool_] | None = None

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


def checked_capacity(capacity: int, least: int = 0) -> int:
    """The capacity.

    Raises:
        ValueError: It is no such number.
    """
    if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < least:
        raise ValueError(f"got a capacity of {capacity!r}; expected an integer of {least} or more")
    return capacity


def log_scores(probabilities: Tensor) -> Tensor:
    """Scores, float32, whose softmax is the given probabilities, of any sum. What is 0 counts as the smallest float32, 1e-38."""
    shares = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return shares.float().clamp_min(torch.finfo(torch.float32).tiny).log()
