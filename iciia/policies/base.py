"""The interface of a bank policy, and what it is shown.

A policy decides which images a full bank keeps. It sees the backbone's logits, the feature, the step and random numbers; never a
label nor an adapter's output. So where each image of a chunk goes can be told before anything is attended to.

Everything is vectorised over clients and written in numpy row by row: a client's decisions are the same to the bit alone and in
any cohort.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from iciia.counter import uniforms

Array = NDArray[Any]


class Evidence:
    """What policies see of a chunk of K clients' streams.

    Args:
        features: The backbone's features, [K, T, D].
        logits: The backbone's logits, [K, T, C].
    """

    def __init__(self, features: Tensor, logits: Tensor) -> None:
        self._features = features
        self._logits = logits

    @property
    def targets(self) -> int:
        """T."""
        return self._features.shape[1]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """[K, T, D]."""
        return np.ascontiguousarray(self._features.detach().float().cpu().numpy())

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """[K, T, C]."""
        return np.ascontiguousarray(self._logits.detach().float().cpu().numpy())

    @cached_property
    def predicted(self) -> NDArray[np.int32]:
        """The backbone's best class, [K, T]."""
        return self.logits.argmax(axis=-1).astype(np.int32)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the backbone's logits, [K, T, C]."""
        p = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        return p

    @cached_property
    def entropy(self) -> NDArray[np.float32]:
        """Entropy of the probabilities as a share of log C, so from 0 to 1, [K, T]."""
        p = self.probabilities
        classes = max(2, p.shape[-1])
        return -(p * np.log(np.maximum(p, np.float32(1e-30)))).sum(axis=-1) / np.float32(np.log(classes))


@dataclass(frozen=True)
class Arrival:
    """One image of each of K clients, as a policy sees it.

    Args:
        evidence: The chunk it is in.
        position: Its place in the chunk.
        step: Its step in the stream.
        clients: Client numbers, int64 [K].
        seed: The scenario's seed.
    """

    evidence: Evidence
    position: int
    step: int
    clients: NDArray[np.int64]
    seed: int

    @property
    def feature(self) -> NDArray[np.float32]:
        """The backbone's feature, [K, D]."""
        return self.evidence.features[:, self.position]

    @property
    def logits(self) -> NDArray[np.float32]:
        """The backbone's logits, [K, C]."""
        return self.evidence.logits[:, self.position]

    @property
    def predicted(self) -> NDArray[np.int32]:
        """The backbone's best class, [K]."""
        return self.evidence.predicted[:, self.position]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The backbone's probabilities, [K, C]."""
        return self.evidence.probabilities[:, self.position]

    @property
    def entropy(self) -> NDArray[np.float32]:
        """Their entropy over log C, [K]."""
        return self.evidence.entropy[:, self.position]

    def uniform(self, purpose: str) -> NDArray[np.float64]:
        """A draw in [0, 1) for each client, a pure function of (seed, purpose, client, step), [K]."""
        return uniforms(self.seed, f"policy/{purpose}", self.clients, self.step)


@dataclass(frozen=True)
class Slots:
    """What is known of the images in K clients' banks. A policy reads it; the plan writes it.

    Args:
        step: Step at which the slot's image arrived, int32 [K, N]; -1 where the slot is free.
        records: What the policy's `records` ask to be remembered of each image, [K, N] by name.
        memory: What else the policy remembers, by name, clients first; the policy itself writes it.
    """

    step: NDArray[np.int32]
    records: dict[str, Array]
    memory: dict[str, Array]

    @property
    def nbytes(self) -> int:
        """Bytes of all clients' arrays."""
        parts = (*self.records.values(), *self.memory.values())
        return self.step.nbytes + sum(part.nbytes for part in parts)


class Policy(ABC):
    """Decides which images a bank keeps.

    While a slot is free, an image goes to the first free one. `forget` can free slots, `evict` says what happens when there is
    none. Both see the bank as the image's own prediction saw it, and act after that prediction: the next image is the first to
    meet the change.

    Attributes:
        name: What scenarios call it.
        records: What is remembered of each image in the bank, of `predicted` (its predicted class, int32) and `entropy`
            (float32): four bytes each.
        of_classes: Whether it takes the logits for those of classes, of which an image has one; attributes are refused then.
    """

    name: ClassVar[str]
    records: ClassVar[tuple[str, ...]] = ()
    of_classes: ClassVar[bool] = False

    @abstractmethod
    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        """The slot that an image takes in a full bank, [K]; -1 leaves the image out.

        Called for all clients as soon as one bank is full; what it says of banks that are not full is not used.
        """

    def forget(self, slots: Slots, arrival: Arrival) -> NDArray[np.bool_] | None:
        """Which images leave for good once this one has been predicted, bool [K, N]; None for none. Called at every step, and the
        only place where a policy may write its own `slots.memory`."""
        return None

    def alarms(self, slots: Slots, arrival: Arrival) -> NDArray[np.bool_] | None:
        """Whose class subset it says has changed with this image, bool [K]; None if it does not detect that. Called right after
        `forget`."""
        return None

    def placed(self, slots: Slots, arrival: Arrival, rows: NDArray[np.integer], slot: NDArray[np.integer]) -> None:
        """Told where images went: those of clients `rows` into `slot`. For what is remembered of each image beyond `records`."""
        return

    def memory(self, clients: int, capacity: int, features: int, classes: int) -> dict[str, Array]:
        """What the policy remembers at the start, by name, clients first in every array."""
        return {}

    def macs(self, capacity: int, features: int, classes: int) -> int:
        """Multiply-adds that deciding takes for one image at a full bank. Comparisons and softmax are left out, as everywhere."""
        return 0

    def start(self, clients: int, capacity: int, features: int, classes: int) -> Slots:
        """Empty banks."""
        kinds = {"predicted": np.int32, "entropy": np.float32}
        return Slots(
            step=np.full((clients, capacity), -1, dtype=np.int32),
            records={name: np.zeros((clients, capacity), dtype=kinds[name]) for name in self.records},
            memory=self.memory(clients, capacity, features, classes),
        )

    def state_bytes(self, capacity: int, features: int, classes: int) -> int:
        """Bytes that the policy keeps for one client: each image's step and records, and its memory."""
        return self.start(1, capacity, features, classes).nbytes
