"""Confidence intervals of means over clients."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def t_interval(count: float, total: float, total_squared: float, confidence: float = 0.95) -> tuple[float, float]:
    """The t-interval of a mean.

    Args:
        count: Number of values.
        total: Their sum.
        total_squared: The sum of their squares.
        confidence: Coverage.

    Returns:
        Lower and upper end; NaN for fewer than two values. Of 1, 2 and 3: (-0.484, 4.484).
    """
    if count < 2:
        return math.nan, math.nan
    mean = total / count
    deviation = math.sqrt(max(0.0, (total_squared - count * mean**2) / (count - 1)))
    reach = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * deviation / math.sqrt(count)
    return mean - reach, mean + reach


def welch_interval(one: NDArray[np.float64], two: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float]:
    """Welch's t-interval of the mean of `two` less the mean of `one`, which are of different clients.

    Args:
        one: Values of the one group.
        two: Values of the other.
        confidence: Coverage.

    Returns:
        Lower and upper end; NaN if a group has fewer than two values.
    """
    if min(len(one), len(two)) < 2:
        return math.nan, math.nan
    if one.std() == 0 == two.std():
        return (float(two.mean() - one.mean()),) * 2
    found = stats.ttest_ind(two, one, equal_var=False).confidence_interval(confidence)
    return float(found.low), float(found.high)
