"""Class subsets: which classes a client meets in one concept, and how often each.

A subset is drawn for a whole cohort at once and is a pure function of (seed, client, concept).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, gammaln

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
        sizes: Fewest and most classes in a subset, every number between them equally likely; None takes all classes
            of one superclass.

    Raises:
        ValueError: `sizes` exceed the number of classes.
    """

    def __init__(self, seed: int, superclass_of: NDArray[np.integer], sizes: tuple[int, int] | None) -> None:
        if sizes is not None and sizes[1] > len(superclass_of):
            raise ValueError(f"a subset of {sizes[1]} classes was asked for, and only {len(superclass_of)} exist")
        self.seed = seed
        self.superclass_of = np.asarray(superclass_of, dtype=np.int64)
        self.sizes = sizes
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
            The new subset. Of the old one's n classes round(overlap * n) are kept, as far as the new size allows.
        """
        keys = uniforms(self.seed, "subset", clients[:, None], concept, np.arange(len(self.superclass_of))[None])
        if previous is None:
            kept = np.zeros(keys.shape, dtype=bool)
        else:
            stay = np.rint(overlap * previous.members.sum(axis=1)).astype(np.int64)
            if self.sizes is not None:
                stay = np.minimum(stay, self._size(clients, concept))
            kept = ranks_among(previous.members, keys) < stay[:, None]
        if self.sizes is None:
            superclass = self._superclass(clients, concept, previous)
            return Subset(kept | (self.superclass_of[None] == superclass[:, None]), superclass)
        barred = kept if previous is None else previous.members
        wanted = self._size(clients, concept) - kept.sum(axis=1)
        fresh = ranks_among(~barred, keys) < wanted[:, None]
        return Subset(kept | fresh, np.full(len(clients), -1))

    def pool(self, clients: NDArray[np.integer], count: int) -> list[Subset]:
        """So many subsets of each client, [K], without common classes."""
        if self.sizes is None:
            keys = uniforms(self.seed, "pool", clients[:, None], 0, np.arange(len(self.superclasses))[None])
            order = self.superclasses[np.argsort(keys, axis=1)]
            picked = [order[:, number] for number in range(count)]
            return [Subset(self.superclass_of[None] == superclass[:, None], superclass) for superclass in picked]
        keys = uniforms(self.seed, "pool", clients[:, None], 0, np.arange(len(self.superclass_of))[None])
        place = np.argsort(np.argsort(keys, axis=1), axis=1)
        found = []
        for number in range(count):
            within = place - number * self.sizes[1]
            members = (within >= 0) & (within < self._size(clients, number)[:, None])
            found.append(Subset(members, np.full(len(clients), -1)))
        return found

    def _size(self, clients: NDArray[np.integer], concept: int) -> NDArray[np.int64]:
        """Classes in a subset that is not a superclass, [K]."""
        fewest, most = self.sizes or (0, 0)
        return fewest + (uniforms(self.seed, "size", clients, concept) * (most - fewest + 1)).astype(np.int64)

    def _superclass(self, clients: NDArray[np.integer], concept: int, previous: Subset | None) -> NDArray[np.int64]:
        u = uniforms(self.seed, "superclass", clients, concept)
        if previous is None:
            return self.superclasses[(u * len(self.superclasses)).astype(np.int64)]
        # one of the others: skip over the previous one's place
        place = (u * (len(self.superclasses) - 1)).astype(np.int64)
        place += place >= np.searchsorted(self.superclasses, previous.superclass)
        return self.superclasses[place]


def ranks_among(members: NDArray[np.bool_], keys: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each member's rank by its key, from 0, [K, C]; C or more for what is no member."""
    ranks = np.argsort(np.argsort(np.where(members, keys, np.inf), axis=1, kind="stable"), axis=1)
    return np.where(members, ranks, members.shape[1])


class Uniform:
    """All classes of a subset are met equally often."""

    def weigh(self, members: NDArray[np.bool_], keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights [K, C] of members, given uniform draws, [K, C]."""
        return members.astype(np.float64)


@dataclass(frozen=True)
class Zipf:
    """The class of rank r (from 1), in a random order, has weight r ** -exponent."""

    exponent: float

    def weigh(self, members: NDArray[np.bool_], keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights [K, C] of members, given uniform draws, [K, C]."""
        return np.where(members, (ranks_among(members, keys) + 1.0) ** -self.exponent, 0.0)


@dataclass(frozen=True)
class Dirichlet:
    """The shares are drawn from a symmetric Dirichlet distribution: the smaller alpha, the fewer classes dominate."""

    alpha: float

    def weigh(self, members: NDArray[np.bool_], keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights [K, C] of members, given uniform draws, [K, C]."""
        u = np.maximum(keys[members], 2.0**-53)
        drawn = gammaincinv(self.alpha, u)
        # in logarithms: with a small alpha most of the draws are too small for a float
        tiny = (np.log(u) + gammaln(self.alpha + 1.0)) / self.alpha
        logs = np.full(members.shape, -np.inf)
        logs[members] = np.where(drawn > 1e-200, np.log(np.maximum(drawn, 1e-200)), tiny)
        return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))


class ClassWeights:
    """How often each class is met in one concept.

    Args:
        seed: The scenario's seed.
        law: The weights inside a subset.
        reserve_ratio: Share of a client's images that come from its subset; the rest come from everybody's
            classes. 1 is fully non-IID, 0 is IID.
        everybody: Share of each class in all images, [C].

    Source:
        `reserve_ratio` as in Yan et al., arXiv 2211.06276, applied per image and in expectation.
    """

    def __init__(
        self, seed: int, law: Uniform | Zipf | Dirichlet, reserve_ratio: float, everybody: NDArray[np.floating]
    ) -> None:
        self.seed = seed
        self.law = law
        self.reserve_ratio = reserve_ratio
        self.everybody = everybody

    def inside(self, clients: NDArray[np.integer], concept: int, members: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Shares inside the subset, float64 [K, C]; rows sum to 1."""
        keys = uniforms(self.seed, "rank", clients[:, None], concept, np.arange(members.shape[1])[None])
        weights = self.law.weigh(members, keys)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def mixed(self, inside: NDArray[np.float64]) -> NDArray[np.float64]:
        """The class prior, [K, C], given the shares inside the subset."""
        return np.asarray(self.reserve_ratio * inside + (1.0 - self.reserve_ratio) * self.everybody)

    def prior(self, clients: NDArray[np.integer], concept: int, members: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Class prior of one concept, float64 [K, C]; rows sum to 1."""
        return self.mixed(self.inside(clients, concept, members))
