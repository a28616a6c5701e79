"""Nothing is lost, counted twice or left half-written, whatever fails when; and the schedules that say so find faults of ours."""

import random
from pathlib import Path

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from faults.disk import Killed, SimulatedDisk
from faults.schedules import PLANTS, TABLES, SmallLayout, failure_of, records_of
from sim.engine.collector import Collector
from sim.errors import RunError


def test_no_schedule_loses_anything() -> None:
    """A hundred of them; `python tests/faults/schedules.py 10000` runs more, and tells how to have one again."""
    assert {seed: said for seed in range(100) if (said := failure_of(seed))} == {}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_fault_of_ours_is_found(plant: str) -> None:
    assert any(failure_of(seed, plant) for seed in range(100))


def test_a_seed_is_the_same_again() -> None:
    found = [next((seed, said) for seed in range(100) if (said := failure_of(seed, "counted_twice"))) for _ in range(2)]
    assert found[0] == found[1]


RATES = strategies.sampled_from([0.0, 0.1])


class CollectorMachine(RuleBasedStateMachine):
    """A collector and its disk, step by step: what was promised is there after every loss of power."""

    @initialize(seed=strategies.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.disk = SimulatedDisk(random.Random(seed))
        self.layout = SmallLayout(Path("run"), 6, ["backbone"], TABLES, 50, 100, 0, {})
        self.collector: Collector | None = None
        self.promised: set[int] = set()

    @rule(
        cohort=strategies.integers(0, 5),
        deaths=strategies.sampled_from([0.0, 0.1]),
        refusals=strategies.sampled_from([0.0, 0.1]),
    )
    def add(self, cohort: int, deaths: float, refusals: float) -> None:
        self.disk.deaths, self.disk.refusals = deaths, refusals
        try:
            if self.collector is None:
                self.collector = Collector(self.layout, self.disk)
            receipt = self.collector.add(records_of(cohort))
            if receipt.committed is not None:
                self.promised.add(receipt.committed.start)
        except RunError:
            pass
        except Killed:
            self.collector = None
        finally:
            self.disk.deaths = self.disk.refusals = 0.0

    @rule()
    def kill(self) -> None:
        self.collector = None

    @rule()
    def lose_power(self) -> None:
        self.collector = None
        self.disk.lose_power()

    @invariant()
    def promises_are_kept(self) -> None:
        if hasattr(self, "disk"):
            assert self.promised <= {part.start for part in self.layout.committed(self.disk)}

    @invariant()
    def totals_are_of_whole_cohorts(self) -> None:
        if hasattr(self, "disk") and self.collector is not None:
            totals = self.collector.totals
            assert totals.images - 100 * totals.clients <= sum(range(6))
            assert totals.clients <= 6


TestCollector = CollectorMachine.TestCase
TestCollector.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
