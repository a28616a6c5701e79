"""Gradual drift: for a while images come from the old subset or from the new one.

MOA's sigmoid reaches only 0.88 at the ends of its window, so that the old concept leaks on for long. Here the window is closed:
before it the old prior alone, after it the new one alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.streams.drift.base import Plan
from sim.streams.drift.positions import Positions
from sim.streams.drift.sudden import SuddenDrift
from sim.streams.subset import ClassWeights, SubsetSampler


@dataclass(frozen=True)
class GradualDrift:
    """Old and new subset mix, the weight of the new one rising linearly.

    Args:
        positions: Where the windows open.
        width: Images in a window.
        overlap: Share of the old subset's classes that stay.
    """

    positions: Positions
    width: int
    overlap: float = 0.0

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        sudden = SuddenDrift(self.positions, self.overlap).plan(clients, steps, subsets, weights)
        return sudden.blended(self.width, steps)
