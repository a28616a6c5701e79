"""Workers, the collector and their messages, simulated by seed: `sim.engine.schedule.Transport` without a process.

At every wait something happens: an answer comes, early, late or twice over, is lost, or somebody dies.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from faults.disk import Killed, SimulatedDisk
from sim.engine.collector import Collector, Layout, Receipt
from sim.engine.schedule import Lost, Raised, Reference, Unavailable
from sim.errors import RunError
from sim.report.sums import CohortRecords


class DriverKilled(BaseException):
    """The driver dies while it waits, and its workers and collector with it."""


@dataclass(frozen=True)
class _Asked:
    what: Literal["wake", "simulate", "add"]
    worker: int = 0
    cohort: int = 0
    records: CohortRecords | None = None


class SimulatedTransport:
    """See above.

    Args:
        rng: Decides what happens.
        layout: The collector's.
        disk: The collector's.
        simulate: The records of a cohort.
        trouble: Probability that a wait begins with a death or a loss.
        collector: Makes the collector.
    """

    def __init__(
        self,
        rng: random.Random,
        layout: Layout,
        disk: SimulatedDisk,
        simulate: Callable[[int], CohortRecords],
        trouble: float,
        collector: Callable[[Layout, SimulatedDisk], Collector] = Collector,
    ) -> None:
        self.rng, self.layout, self.disk, self.records_of, self.trouble = rng, layout, disk, simulate, trouble
        self.make_collector = collector
        self.collector: Collector | None = None
        self.asked: dict[int, _Asked] = {}
        self.answers: dict[int, object] = {}
        self.last = 0

    def wake(self, worker: int) -> Reference:
        return self._ask(_Asked("wake", worker))

    def simulate(self, worker: int, cohort: int, last_attempt: bool) -> tuple[object, Reference]:
        return self.records_of(cohort), self._ask(_Asked("simulate", worker, cohort))

    def add(self, records: object) -> Reference:
        assert isinstance(records, CohortRecords)
        return self._ask(_Asked("add", records=records))

    def wait(self, references: Sequence[Reference]) -> Sequence[Reference]:
        if self.rng.random() < self.trouble:
            self._happen()
        while not (there := [one for one in references if one in self.answers]):
            reference = self.rng.choice(sorted(self.asked))
            self.answers[reference] = self._do(self.asked.pop(reference))
        return [self.rng.choice(there)]

    def answer(self, reference: Reference) -> object:
        assert isinstance(reference, int)
        found = self.answers.pop(reference)
        if isinstance(found, Exception):
            raise found
        return found

    def told(self, in_flight: int, retries: int) -> None:
        pass

    def _ask(self, asked: _Asked) -> int:
        self.last += 1
        self.asked[self.last] = asked
        return self.last

    def _happen(self) -> None:
        event = self.rng.choice(("worker", "worker", "collector", "collector", "driver", "lost answer"))
        if event == "driver":
            raise DriverKilled
        if event == "collector":
            self.collector = None
        if event == "worker":
            busy = sorted({one.worker for one in self.asked.values() if one.what == "simulate"})
            if busy:
                dead = self.rng.choice(busy)
                for number, one in list(self.asked.items()):
                    if one.what == "simulate" and one.worker == dead:
                        self.answers[number] = Lost("the worker is gone")
                        del self.asked[number]
        if event == "lost answer" and self.answers:
            self.answers[self.rng.choice(sorted(self.answers))] = Lost("its node is gone")

    def _do(self, asked: _Asked) -> object:
        if asked.what == "wake":
            return Unavailable("not yet") if self.rng.random() < self.trouble else None
        if asked.what == "simulate":
            return None
        times = 2 if self.rng.random() < self.trouble else 1  # Ray asks again when it cannot tell whether it was done
        found: object = None
        for _ in range(times):
            found = self._add(asked)
        return found

    def _add(self, asked: _Asked) -> Receipt | Exception:
        assert asked.records is not None
        try:
            if self.collector is None:
                self.collector = self.make_collector(self.layout, self.disk)
            return self.collector.add(asked.records)
        except Killed:
            self.collector = None
            return Lost("the collector is gone")
        except RunError as error:
            return Raised(error)
