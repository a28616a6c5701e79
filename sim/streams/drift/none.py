"""No drift."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.streams.drift.base import Plan
from sim.streams.subset import ClassWeights, SubsetSampler


@dataclass(frozen=True)
class NoDrift:
    """One subset for the whole stream."""

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        subset = subsets.draw(clients, 0)
        return Plan.of_segments(
            starts=np.zeros((len(clients), 1), dtype=np.int64),
            priors=weights.prior(clients, 0, subset.members)[:, None],
            severity=np.zeros((len(clients), 1)),
            superclass=subset.superclass[:, None],
        )
