"""Sudden drift: one subset gives way to another from one image to the next."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.streams.drift.base import Plan, replacements, starts_of
from sim.streams.drift.positions import Positions
from sim.streams.subset import ClassWeights, SubsetSampler


@dataclass(frozen=True)
class SuddenDrift:
    """The subset is replaced from one image to the next.

    Args:
        positions: Where.
        overlap: Share of the old subset's classes that stay.
    """

    positions: Positions
    overlap: float = 0.0

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        changes = self.positions.changes(clients, steps)
        drawn, severity = replacements(clients, changes.shape[1], subsets, self.overlap)
        priors = [weights.prior(clients, concept, subset.members) for concept, subset in enumerate(drawn)]
        return Plan.of_segments(
            starts=starts_of(changes),
            priors=np.stack(priors, axis=1),
            severity=severity,
            superclass=np.stack([subset.superclass for subset in drawn], axis=1),
        )
