"""Class subsets: which classes a client meets in one concept, and how often each.

A subset is drawn for a whole cohort at once and is a pure function of (seed, client, concept).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms


@dataclass(frozen=True)
class Subset:
    """One class subset per client.

    Args:
        members: The classes met, bool [K, C].
        superclass: The superclass drawn, int64 [K]; -1 where the subset is not made of a superclass.
    """

    members: NDArray[np.bool_]
    superclass: NDArray[np.int64]


class SubsetSampler:
    """Draws the class subsets of clients, as one superclass each or as k classes each.

    Args:
        seed: The scenario's seed.
        superclass_of: Superclass of each class, int [C].
        size: Classes in a subset (k); None takes all classes of one superclass.

    Raises:
        ValueError: `size` exceeds the number of classes.
    """

    def __init__(self, seed: int, superclass_of: NDArray[np.integer], size: int | None) -> None:
        if size is not None and size > len(superclass_of):
            raise ValueError(f"a subset of {size} classes was asked for, and only {len(superclass_of)} classes exist")
        self.seed = seed
        self.superclass_of = np.asarray(superclass_of, dtype=np.int64)
        self.size = size
        self.superclasses = np.unique(self.superclass_of)

    def draw(
        self, clients: NDArray[np.integer], concept: int, previous: Subset | None = None, overlap: float = 0.0
    ) -> Subset:
        """The subset of one concept.

        Args:
            clients: Client numbers, [K].
            concept: Number of the concept in the client's stream, from 0.
            previous: The subset it replaces; None for the first.
            overlap: Share of the previous subset's classes that stay. With superclasses they stay beside the
                new superclass, which is never the previous one.

        Returns:
            The new subset. With `size`, exactly that many classes, of which round(overlap * size) are kept.
        """
        keys = uniforms(self.seed, "subset", clients[:, None], concept, np.arange(len(self.superclass_of))[None])
        if previous is None:
            kept = np.zeros(keys.shape, dtype=bool)
        else:
            kept = _lowest(np.where(previous.members, keys, np.inf), _kept(overlap, previous.members.sum(axis=1)))
        if self.size is None:
            superclass = self._superclass(clients, concept, previous)
            return Subset(kept | (self.superclass_of[None] == superclass[:, None]), superclass)
        barred = kept if previous is None else previous.members
        fresh = _lowest(np.where(barred, np.inf, keys), self.size - kept.sum(axis=1))
        return Subset(kept | fresh, np.full(len(clients), -1))

    def _superclass(self, clients: NDArray[np.integer], concept: int, previous: Subset | None) -> NDArray[np.int64]:
        u = uniforms(self.seed, "superclass", clients, concept)
        if previous is None:
            return self.superclasses[(u * len(self.superclasses)).astype(np.int64)]
        # one of the others: skip over the previous one's place
        place = (u * (len(self.superclasses) - 1)).astype(np.int64)
        place += place >= np.searchsorted(self.superclasses, previous.superclass)
        return self.superclasses[place]


def _kept(overlap: float, size: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.rint(overlap * size).astype(np.int64)


def _lowest(keys: NDArray[np.float64], count: NDArray[np.integer]) -> NDArray[np.bool_]:
    """The `count` lowest finite keys of each row, as a mask."""
    ranks = np.argsort(np.argsort(keys, axis=1), axis=1)
    return (ranks < count[:, None]) & np.isfinite(keys)


class ClassWeights:
    """How often each class of a subset is met: uniform, or Zipf over a random order of the classes.

    Args:
        seed: The scenario's seed.
        exponent: The class of rank r (from 1) has weight r ** -exponent; 0 is uniform.
        reserve_ratio: Share of a client's images that come from its subset; the rest come from everybody's
            classes. 1 is fully non-IID, 0 is IID.
        everybody: Share of each class in all images, [C].

    Source:
        `reserve_ratio` as in Yan et al., arXiv 2211.06276, applied per image and in expectation.
    """

    def __init__(self, seed: int, exponent: float, reserve_ratio: float, everybody: NDArray[np.floating]) -> None:
        self.seed = seed
        self.exponent = exponent
        self.reserve_ratio = reserve_ratio
        self.everybody = everybody

    def prior(self, clients: NDArray[np.integer], concept: int, members: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Class prior of one concept, float64 [K, C]; rows sum to 1."""
        classes = np.arange(members.shape[1])[None]
        keys = np.where(members, uniforms(self.seed, "rank", clients[:, None], concept, classes), np.inf)
        ranks = np.argsort(np.argsort(keys, axis=1), axis=1)
        weights = np.where(members, (ranks + 1.0) ** -self.exponent, 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
        return self.reserve_ratio * weights + (1.0 - self.reserve_ratio) * self.everybody
