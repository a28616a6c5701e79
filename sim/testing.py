"""Checks for the author of a drift process.

    from sim.testing import check_drift

    def test_my_drift():
        check_drift(lambda seed: MyDrift(seed=seed, every=50), steps=200)

The same checks run on every process of this package, and on a scenario's `kind: own` before it runs.
"""

from sim.streams.checks import check_drift

__all__ = ["check_drift"]
