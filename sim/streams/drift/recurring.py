"""Recurring drift: a pool of subsets that are visited again and again, by rule or by a time x client matrix."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms
from sim.streams.drift.base import Plan, starts_of
from sim.streams.drift.positions import Positions
from sim.streams.subset import ClassWeights, SubsetSampler


@dataclass(frozen=True)
class RecurringDrift:
    """Each client goes round a pool of its own, of subsets without common classes.

    Args:
        seed: The scenario's seed.
        positions: Where the subset changes.
        pool: Subsets in the pool, 2 or more.
        order: `cycle`: one after the other. `random`: any but the present one, all equally likely.
        width: Images over which old and new mix, as in gradual drift; 0 for none.
    """

    seed: int
    positions: Positions
    pool: int
    order: Literal["cycle", "random"] = "cycle"
    width: int = 0

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        starts = starts_of(self.positions.changes(clients, steps))
        visit = np.arange(starts.shape[1])[None]
        further = np.ones(starts.shape, dtype=np.int64)
        if self.order == "random":
            u = uniforms(self.seed, "visit", clients[:, None], visit)
            further += (u * (self.pool - 1)).astype(np.int64)
        concept = (np.cumsum(further, axis=1) - further[:, :1]) % self.pool
        return _pooled(clients, starts, concept, self.pool, self.width, steps, subsets, weights)


@dataclass(frozen=True)
class MatrixDrift:
    """A matrix says which concept each client has in each stretch of time. Concepts are the same for all clients.

    Args:
        matrix: Number of the concept by time and client, from 0; client c has column c modulo the number of columns.
        every: Images in a stretch.
        width: Images over which old and new mix, as in gradual drift; 0 for none.

    Source:
        The time x client matrices of FedDrift, Jothimurugesan et al., arXiv 2206.00799.
    """

    matrix: tuple[tuple[int, ...], ...]
    every: int
    width: int = 0

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        matrix = np.array(self.matrix, dtype=np.int64)
        # the modulus first: training clients have numbers of any size
        concept = matrix[:, np.asarray(clients) % matrix.shape[1]].T
        starts = np.tile(np.minimum(self.every * np.arange(len(matrix)), steps), (len(clients), 1))
        everyone = np.zeros(len(clients), dtype=np.int64)
        return _pooled(everyone, starts, concept, int(matrix.max()) + 1, self.width, steps, subsets, weights)


def _pooled(
    owners: NDArray[np.integer],
    starts: NDArray[np.int64],
    concept: NDArray[np.int64],
    pool: int,
    width: int,
    steps: int,
    subsets: SubsetSampler,
    weights: ClassWeights,
) -> Plan:
    """A plan whose segments take their concepts from a pool.

    Args:
        owners: Whose pool each client uses, [K].
        starts: [K, S].
        concept: Place in the pool, [K, S].
        pool: Subsets in a pool.
        width: Images over which old and new mix; 0 for none.
        steps: Images in a stream.
        subsets: Draws the pools.
        weights: Class weights inside a subset.
    """
    drawn = subsets.pool(owners, pool)
    priors = [weights.prior(owners, number, subset.members) for number, subset in enumerate(drawn)]
    superclass = np.stack([subset.superclass for subset in drawn], axis=1)
    before = np.concatenate([concept[:, :1], concept[:, :-1]], axis=1)
    plan = Plan(
        starts=starts,
        priors=np.stack(priors, axis=1),
        concept=concept,
        previous=before,
        severity=(concept != before).astype(np.float64),  # subsets of a pool have no class in common
        superclass=np.take_along_axis(superclass, concept, axis=1),
    )
    return plan.blended(width, steps) if width else plan
