"""Where drifts fall: every n images, at given steps, or after random dwell times; for all clients alike or for each its own."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from iciia.counter import uniforms


class Positions(Protocol):
    """Where drifts fall."""

    def changes(self, clients: NDArray[np.integer], steps: int) -> NDArray[np.int64]:
        """First steps of the new concepts, int64 [K, n], ascending from 1 or later; filled up with `steps`."""
        ...


@dataclass(frozen=True)
class Every:
    """A drift every n images.

    Args:
        seed: The scenario's seed.
        every: n.
        staggered: Each client's first drift falls on its own step, uniform in 1 to n; otherwise all fall on step n.
    """

    seed: int
    every: int
    staggered: bool = False

    def changes(self, clients: NDArray[np.integer], steps: int) -> NDArray[np.int64]:
        first = np.full(len(clients), self.every)
        if self.staggered:
            first = 1 + (uniforms(self.seed, "stagger", clients) * self.every).astype(np.int64)
        most = 1 + (steps - 1) // self.every if self.staggered else (steps - 1) // self.every
        return np.minimum(first[:, None] + self.every * np.arange(most)[None], steps)


@dataclass(frozen=True)
class At:
    """Drifts at given steps, the same for all clients.

    Args:
        positions: The steps, ascending.
    """

    positions: tuple[int, ...]

    def changes(self, clients: NDArray[np.integer], steps: int) -> NDArray[np.int64]:
        return np.tile(np.minimum(np.array(self.positions, dtype=np.int64), steps), (len(clients), 1))


@dataclass(frozen=True)
class Dwell:
    """A random time with every concept.

    Args:
        seed: The scenario's seed.
        mean: Images that a concept lasts on average.
        law: `geometric`: beyond the shortest time a drift is equally likely at every step. `poisson`: the shortest time and a
            Poisson number of further images, so that times gather around the mean.
        together: One draw for all clients; otherwise each has its own.
        shortest: Images that a concept lasts at least; below the mean unless both are 1.
    """

    seed: int
    mean: int
    law: Literal["geometric", "poisson"]
    together: bool = False
    shortest: int = 1

    def changes(self, clients: NDArray[np.integer], steps: int) -> NDArray[np.int64]:
        drawn_for = np.zeros(1, dtype=np.int64) if self.together else clients
        found = np.zeros((len(drawn_for), 0), dtype=np.int64)
        last = np.zeros(len(drawn_for), dtype=np.int64)
        while (last < steps).any():
            i = found.shape[1] + np.arange(8)
            u = uniforms(self.seed, "dwell", drawn_for[:, None], i[None])
            further = last[:, None] + np.cumsum(self._lengths(u), axis=1)
            found = np.concatenate([found, further], axis=1)
            last = further[:, -1]
        found = np.minimum(found, steps)
        found = found[:, : int((found < steps).sum(axis=1).max())]
        return np.tile(found, (len(clients), 1)) if self.together else found

    def _lengths(self, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Dwell times by inverting their distribution."""
        further = self.mean - self.shortest
        if further == 0:
            return np.full(u.shape, self.shortest)
        if self.law == "geometric":
            beyond = np.floor(np.log1p(-u) / np.log1p(-1.0 / (further + 1)))
        else:
            beyond = np.asarray(stats.poisson.ppf(u, further)).clip(min=0)
        return self.shortest + beyond.astype(np.int64)
