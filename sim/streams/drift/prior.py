"""Prior drift: the classes stay, how often each is met moves."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms
from sim.streams.drift.base import Plan
from sim.streams.subset import ClassWeights, SubsetSampler


@dataclass(frozen=True)
class PriorDrift:
    """The class weights inside the subset move between two draws of them. There is no single step at which they drift.

    Args:
        seed: The scenario's seed.
        shape: `sine`: to the other weights and back. `monotone`: to the other weights over the whole stream, linearly.
        every: Images in a period of the sine.
        staggered: Whether every client's sine has a phase of its own.
    """

    seed: int
    shape: Literal["sine", "monotone"]
    every: int = 1
    staggered: bool = False

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        subset = subsets.draw(clients, 0)
        one = np.ones((len(clients), 1), dtype=np.int64)
        return Plan(
            starts=0 * one,
            priors=np.stack([weights.prior(clients, concept, subset.members) for concept in (0, 1)], axis=1),
            concept=one,
            previous=0 * one,
            severity=np.zeros(one.shape),
            superclass=subset.superclass[:, None],
            weight=self._weight(clients, steps),
        )

    def _weight(self, clients: NDArray[np.integer], steps: int) -> NDArray[np.float64]:
        step = np.arange(steps)[None]
        if self.shape == "monotone":
            return np.tile(step / max(steps - 1, 1), (len(clients), 1))
        phase = np.zeros(len(clients))
        if self.staggered:
            phase = uniforms(self.seed, "phase", clients)
        return 0.5 - 0.5 * np.cos(2.0 * np.pi * (step / self.every + phase[:, None]))
