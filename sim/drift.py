"""Drift: how a client's class prior changes over its stream.

A drift process says at which steps the prior changes and what it changes to, for a whole cohort at once. Between two
changes the prior is constant, so a plan is a list of segments; a prior that moves at every step is a plan with a segment
for every step.
"""

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms
from sim.subset import ClassWeights, SubsetSampler


@dataclass(frozen=True)
class Plan:
    """The class priors of K clients over their streams.

    Args:
        starts: First step of each segment, int64 [K, S], ascending; segments that a client does not reach start at
            the length of the stream. Segment 0 starts at 0.
        priors: Class prior in each segment, float64 [K, S, C].
        severity: Share of the old subset's classes that are gone in this segment, float64 [K, S]; 0 for segment 0. A
            segment of severity above 0 opens with a drift.
        superclass: Superclass of each segment's subset, int64 [K, S]; -1 where it is not one superclass.
    """

    starts: NDArray[np.int64]
    priors: NDArray[np.float64]
    severity: NDArray[np.float64]
    superclass: NDArray[np.int64]

    def segment(self, start: int, stop: int) -> NDArray[np.int64]:
        """Segment number at each step of [start, stop), int64 [K, stop - start]."""
        steps = np.arange(start, stop)[None, :, None]
        return (self.starts[:, None, :] <= steps).sum(axis=2) - 1


class Drift(Protocol):
    """A drift process. Must be picklable, and a client's plan must not depend on which clients are asked for with it."""

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        """The plan of the given clients, [K], over streams of `steps` images."""
        ...


@dataclass(frozen=True)
class NoDrift:
    """One subset for the whole stream."""

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        subset = subsets.draw(clients, 0)
        return Plan(
            starts=np.zeros((len(clients), 1), dtype=np.int64),
            priors=weights.prior(clients, 0, subset.members)[:, None],
            severity=np.zeros((len(clients), 1)),
            superclass=subset.superclass[:, None],
        )


@dataclass(frozen=True)
class SuddenDrift:
    """The subset is replaced from one image to the next.

    Args:
        seed: The scenario's seed.
        every: Images between two changes.
        overlap: Share of the old subset's classes that stay.
        stagger: Each client's first change falls on its own step, uniform in 1 to `every`; otherwise all
            clients change at once, first at step `every`.
    """

    seed: int
    every: int
    overlap: float = 0.0
    stagger: bool = False

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        first = np.full(len(clients), self.every)
        if self.stagger:
            first = 1 + (uniforms(self.seed, "stagger", clients) * self.every).astype(np.int64)
        most = 1 + (steps - 1) // self.every if self.stagger else (steps - 1) // self.every
        changes = first[:, None] + self.every * np.arange(most)[None]
        starts = np.minimum(np.concatenate([np.zeros((len(clients), 1), dtype=np.int64), changes], axis=1), steps)
        drawn = [subsets.draw(clients, 0)]
        for concept in range(1, most + 1):
            drawn.append(subsets.draw(clients, concept, drawn[-1], self.overlap))
        gone = [np.zeros(len(clients))]
        for old, new in itertools.pairwise(drawn):
            gone.append(1.0 - (old.members & new.members).sum(axis=1) / old.members.sum(axis=1))
        priors = [weights.prior(clients, concept, subset.members) for concept, subset in enumerate(drawn)]
        return Plan(
            starts=starts,
            priors=np.stack(priors, axis=1),
            severity=np.stack(gone, axis=1),
            superclass=np.stack([subset.superclass for subset in drawn], axis=1),
        )
