"""How far accuracy drops at a drift, and how soon it is back.

With windows of w images and a horizon of h: the *drop* is the mean accuracy of the w images before the drift less the lowest
accuracy of a window that lies wholly after it and within h. The *recovery* is the number of images from the drift to the start of
the first window that is back at 90 % of the level before, 0 if none falls below it.

Both are taken from the curve that is pooled over all clients and drifts, aligned on the drift and cut at the next one. Of a single
client a minimum over windows is mostly noise, so its drop stands only beside the same statistic at placebo points: stretches
of w + h images without any drift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BACK = 0.9
"""Share of the level before at which accuracy counts as recovered."""


@dataclass(frozen=True)
class Metrics:
    """What an aligned curve says.

    Args:
        before: Mean accuracy of the window before; None if no image is known there.
        lowest: Lowest accuracy of a window after; None if no window is known.
        drop: Their difference.
        recovery: Images from the drift until accuracy is back; None if that is beyond what is known.
    """

    before: float | None = None
    lowest: float | None = None
    drop: float | None = None
    recovery: int | None = None


def curve_metrics(images: NDArray[np.float64], correct: NDArray[np.float64], window: int) -> Metrics:
    """Drop and recovery of a pooled curve.

    With a window of 2 and accuracies 1 1 | 0 0.5 1 1 the windows after hold 0.25, 0.75 and 1: a drop of 0.75, and a recovery of 2.

    Args:
        images: Images at each offset from -window to the horizon, [window + h].
        correct: How many of them were right.
        window: Images in a window.
    """
    if images[:window].sum() == 0:
        return Metrics()
    before = float(correct[:window].sum() / images[:window].sum())
    known = int(np.argmin(np.append(images[window:], 0) > 0))  # offsets up to the first without images
    if known < window:
        return Metrics(before)
    totals = [np.convolve(part[window : window + known], np.ones(window), "valid") for part in (correct, images)]
    accuracy = totals[0] / totals[1]
    lowest = float(accuracy.min())
    fallen = np.flatnonzero(accuracy < BACK * before)
    if len(fallen) == 0:
        recovery: int | None = 0
    else:
        back = np.flatnonzero(accuracy[fallen[0] :] >= BACK * before)
        recovery = int(fallen[0] + back[0]) if len(back) else None
    return Metrics(before, lowest, before - lowest, recovery)


def client_drops(
    correct: NDArray[np.bool_] | NDArray[np.float64],
    row: NDArray[np.int64],
    step: NDArray[np.int64],
    window: int,
    horizon: int,
) -> NDArray[np.float64]:
    """The drop at single points of single clients, [A, number of points].

    Args:
        correct: Whether each prediction is right, or which share of its attributes, [A, K, T].
        row: The client of each point.
        step: Its step; the window before and the horizon after lie inside the stream.
        window: Images in a window.
        horizon: Images after the point, `window` or more.
    """
    total = np.cumsum(correct, axis=2, dtype=np.float64)
    total = np.concatenate([np.zeros((*total.shape[:2], 1), dtype=np.int32), total], axis=2)
    first = step[:, None] + np.arange(horizon - window + 1)
    after = total[:, row[:, None], first + window] - total[:, row[:, None], first]
    before = total[:, row, step] - total[:, row, step - window]
    return np.asarray((before - after.min(axis=2)) / window)
