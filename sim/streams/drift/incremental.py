"""Incremental drift: classes are swapped one at a time."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms
from sim.streams.drift.base import Plan, replacements
from sim.streams.drift.positions import Positions
from sim.streams.subset import ClassWeights, Subset, SubsetSampler, ranks_among


@dataclass(frozen=True)
class IncrementalDrift:
    """One class goes and another comes, until the old subset has become the new one.

    The swaps of a drift are spread evenly over its window, the first on its first image. Where one subset has more classes than
    the other, several of its classes move in one swap.

    Args:
        seed: The scenario's seed; decides the order of the swaps.
        positions: Where the windows open.
        width: Images in a window.
        overlap: Share of the old subset's classes that stay.
    """

    seed: int
    positions: Positions
    width: int
    overlap: float = 0.0

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        changes = self.positions.changes(clients, steps)
        drawn, severity = replacements(clients, changes.shape[1], subsets, self.overlap)
        inside = [weights.inside(clients, concept, subset.members) for concept, subset in enumerate(drawn)]
        starts, priors = [np.zeros(len(clients), dtype=np.int64)], [weights.mixed(inside[0])]
        harms, superclass = [np.zeros(len(clients))], [drawn[0].superclass]
        ends = np.concatenate([changes[:, 1:], np.full((len(clients), 1), steps)], axis=1)
        for drift, (old, new) in enumerate(itertools.pairwise(drawn)):
            swapped = _Swap(self.seed, clients, drift, old, new, inside[drift], inside[drift + 1])
            for number in range(1, swapped.most + 1):
                done = np.minimum(number, swapped.count)
                begins = changes[:, drift] + (done - 1) * self.width // np.maximum(swapped.count, 1)
                starts.append(np.minimum(begins, ends[:, drift]))
                priors.append(weights.mixed(swapped.inside(done)))
                # the drift is the first swap; the others belong to it
                harms.append(severity[:, drift + 1] * (number == 1))
                superclass.append(new.superclass)
        return Plan.of_segments(
            np.stack(starts, axis=1), np.stack(priors, axis=1), np.stack(harms, axis=1), np.stack(superclass, axis=1)
        )


class _Swap:
    """The way from one subset to the next."""

    def __init__(
        self,
        seed: int,
        clients: NDArray[np.integer],
        drift: int,
        old: Subset,
        new: Subset,
        inside_old: NDArray[np.float64],
        inside_new: NDArray[np.float64],
    ) -> None:
        self.gone, self.come = old.members & ~new.members, new.members & ~old.members
        self.old, self.new = inside_old, inside_new
        keys = uniforms(seed, "swap", clients[:, None], drift, np.arange(old.members.shape[1])[None])
        self.gone_rank, self.come_rank = ranks_among(self.gone, keys), ranks_among(self.come, keys)
        self.gone_count, self.come_count = self.gone.sum(axis=1), self.come.sum(axis=1)
        self.count = np.maximum(self.gone_count, self.come_count)
        self.most = int(self.count.max())

    def inside(self, done: NDArray[np.int64]) -> NDArray[np.float64]:
        """Weights inside the subset after so many swaps of each client, [K, C]."""
        count = np.maximum(self.count, 1)
        left = self.gone & (self.gone_rank * count[:, None] >= (done * self.gone_count)[:, None])
        there = self.come & (self.come_rank * count[:, None] < (done * self.come_count)[:, None])
        share = (done / count)[:, None]
        staying = np.where(self.gone | self.come, 0.0, (1.0 - share) * self.old + share * self.new)
        weights = np.where(left, self.old, 0.0) + np.where(there, self.new, 0.0) + staying
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
