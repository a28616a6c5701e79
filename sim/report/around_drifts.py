"""Where a cohort's clients drift, and how many predictions are right around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.cohort.result import CohortResult

Correct = NDArray[np.bool_] | NDArray[np.float64]
"""Whether each image is predicted right, or which share of its attributes, [A, K, T]."""


@dataclass(frozen=True)
class Drifts:
    """Every drift of a cohort.

    Args:
        row: The client's row in the cohort.
        segment: The segment that it opens.
        step: Its first step.
        before: First step of the window before it, cut at the drift before.
        after: End of the horizon after it, cut at the next drift.
        following: The next drift, or the stream's end.
    """

    row: NDArray[np.int64]
    segment: NDArray[np.int64]
    step: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    following: NDArray[np.int64]

    @staticmethod
    def of(result: CohortResult, window: int, horizon: int) -> "Drifts":
        row, segment = np.nonzero((result.plan.severity > 0) & (result.plan.starts < result.lengths[:, None]))
        step = result.plan.starts[row, segment]
        same = row[1:] == row[:-1]
        previous = np.where(np.append(False, same), np.append(0, step[:-1]), 0)
        following = np.where(np.append(same, False), np.append(step[1:], 0), result.lengths[row])
        before, after = np.maximum(previous, step - window), np.minimum(following, step + horizon)
        return Drifts(row, segment, step, before, after, following)

    def where(self, kept: NDArray[np.bool_]) -> "Drifts":
        """Some of them."""
        return Drifts(*(part[kept] for part in vars(self).values()))

    def placebos(self, lengths: NDArray[np.int64], window: int, horizon: int) -> "Drifts":
        """Points where nothing drifts: the latest of each stretch between drifts that has a window before and a horizon after."""
        row = np.concatenate([np.arange(len(lengths)), self.row])
        start = np.concatenate([np.zeros(len(lengths), dtype=np.int64), self.step])
        order = np.lexsort((start, row))
        row, start = row[order], start[order]
        same = row[1:] == row[:-1]
        stop = np.where(np.append(same, False), np.append(start[1:], 0), lengths[row])
        step = stop - horizon
        found = Drifts(row, np.zeros_like(row), step, step - window, stop, stop)
        return found.where(step - window >= start)


def _between(
    correct: Correct, row: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Right predictions of each adapter in [start, stop) of a client, [A, number of rows]."""
    total = np.cumsum(correct, axis=2, dtype=np.float64)
    total = np.concatenate([np.zeros((*total.shape[:2], 1)), total], axis=2)
    return total[:, row, stop] - total[:, row, start]


def around(
    correct: Correct, drifts: Drifts, window: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Images and right predictions before and after each drift."""
    stop = np.minimum(drifts.after, drifts.step + window)
    before = _between(correct, drifts.row, drifts.before, drifts.step)
    after = _between(correct, drifts.row, drifts.step, stop)
    return drifts.step - drifts.before, before, stop - drifts.step, after
