"""The plan of a cohort's class priors, and the interface of a process that makes one."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.streams.subset import ClassWeights, Subset, SubsetSampler


@dataclass(frozen=True)
class Plan:
    """The class priors of K clients over their streams of T images.

    A stream is cut into S segments, and each has a concept: one of Q class priors of the client. Where the prior moves at every
    step, it is a mixture of two concepts whose weight moves, so that a plan holds no prior for each step.

    Args:
        starts: First step of each segment, int64 [K, S], ascending; segments that a client does not reach start at
            the length of the stream. Segment 0 starts at 0. Of several that start at one step the last counts.
        priors: Class prior of each concept, float64 [K, Q, C].
        concept: Concept of each segment, int64 [K, S].
        previous: The concept that it is mixed with, int64 [K, S].
        severity: Share of the old subset's classes that are gone once the drift is over, float64 [K, S]. A segment of severity
            above 0 opens with a drift; segment 0 has 0.
        superclass: Superclass that each segment's subset is made of, or on its way to, int64 [K, S]; -1 where there is none.
        weight: Share of `concept` in the prior of each step, float64 [K, T]; the rest is `previous`. None if it is 1
            everywhere.
    """

    starts: NDArray[np.int64]
    priors: NDArray[np.float64]
    concept: NDArray[np.int64]
    previous: NDArray[np.int64]
    severity: NDArray[np.float64]
    superclass: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None

    @staticmethod
    def of_segments(
        starts: NDArray[np.int64],
        priors: NDArray[np.float64],
        severity: NDArray[np.float64],
        superclass: NDArray[np.int64] | None = None,
    ) -> "Plan":
        """A plan in which every segment has a constant prior of its own, [K, S, C]."""
        concept = np.broadcast_to(np.arange(starts.shape[1]), starts.shape)
        if superclass is None:
            superclass = np.full(starts.shape, -1)
        return Plan(starts, priors, concept, np.maximum(concept - 1, 0), severity, superclass)

    def segment(self, start: int, stop: int) -> NDArray[np.int64]:
        """Segment number at each step of [start, stop), int64 [K, stop - start]."""
        # the segments that start at a step are counted there, and those before it carried along
        length = stop - start
        opened = np.zeros((len(self.starts), length + 1), dtype=np.int64)
        place = np.clip(self.starts - start, 0, length)
        np.add.at(opened, (np.arange(len(self.starts))[:, None], place), 1)
        return np.cumsum(opened[:, :length], axis=1) - 1

    def at(self, start: int, segments: NDArray[np.int64]) -> NDArray[np.float32]:
        """The class prior at each step from `start` on, float32 [K, T, C], given the steps' segments, [K, T]."""
        rows = np.arange(len(segments))[:, None]
        prior = self.priors[rows, self.concept[rows, segments]]
        if self.weight is not None:
            weight = self.weight[:, start : start + segments.shape[1], None]
            prior = weight * prior + (1.0 - weight) * self.priors[rows, self.previous[rows, segments]]
        return prior.astype(np.float32)

    def planned(self, segments: NDArray[np.int64], within: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Images of each class to be expected of every client, float64 [K, C], given all steps' segments, [K, T], and which steps
        are within the client's stream, [K, T]."""
        num_clients, num_concepts, _ = self.priors.shape
        rows = np.arange(num_clients)[:, None]
        weight = np.ones(segments.shape) if self.weight is None else self.weight
        images = np.zeros((num_clients, num_concepts))
        np.add.at(images, (rows, self.concept[rows, segments]), weight * within)
        np.add.at(images, (rows, self.previous[rows, segments]), (1.0 - weight) * within)
        return np.einsum("kq,kqc->kc", images, self.priors)

    def rows(self, kept: slice) -> "Plan":
        """The plan of some of the clients."""
        parts = {name: value[kept] for name, value in vars(self).items() if value is not None}
        return replace(self, **parts)

    def blended(self, width: int, steps: int) -> "Plan":
        """The plan with every drift spread over a window of images, in which the weight of the new concept rises linearly.

        The window is closed at both ends. With a width of 3, the drift's first three images have weights 1/4, 1/2 and 3/4,
        the image before them is wholly of the old concept and the image after them wholly of the new.
        """
        segments = self.segment(0, steps)
        rows = np.arange(len(segments))[:, None]
        since = np.arange(steps)[None] - self.starts[rows, segments]
        rising = np.minimum((since + 1) / (width + 1), 1.0)
        return replace(self, weight=np.where(self.severity[rows, segments] > 0, rising, 1.0))


class Drift(Protocol):
    """A drift process. Must be picklable, and a client's plan must not depend on which clients are asked for with it.

    `sim.testing.check_drift` runs these and further checks on a process of your own.
    """

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        """The plan of the given clients, [K], over streams of `steps` images."""
        ...


def severity_of(old: Subset, new: Subset) -> NDArray[np.float64]:
    """Share of the old subset's classes that are gone, [K]."""
    return 1.0 - (old.members & new.members).sum(axis=1) / old.members.sum(axis=1)


def starts_of(changes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The starts of segments between changes, [K, S]: 0 and the changes."""
    return np.concatenate([np.zeros((len(changes), 1), dtype=np.int64), changes], axis=1)


def replacements(
    clients: NDArray[np.integer], changes: int, subsets: SubsetSampler, overlap: float
) -> tuple[list[Subset], NDArray[np.float64]]:
    """A subset, and so many changes to another.

    Returns:
        The subsets in order, and the severity of each, [K, changes + 1].
    """
    drawn = [subsets.draw(clients, 0)]
    severity = [np.zeros(len(clients))]
    for concept in range(1, changes + 1):
        drawn.append(subsets.draw(clients, concept, drawn[-1], overlap))
        severity.append(severity_of(drawn[-2], drawn[-1]))
    return drawn, np.stack(severity, axis=1)
