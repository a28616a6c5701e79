"""Which cohort goes where, until every range is committed. Knows nothing of Ray: processes and messages are a `Transport`'s.

Who fails is replaced and what was lost is simulated again: a cohort's result is a pure function of its number, and adding it twice
changes nothing.
"""

import shlex
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sim.engine.collector import Layout, Receipt, Totals
from sim.errors import RunError, SimError

QUEUED_PER_WORKER = 2
"""Cohorts given to a worker at a time: one that it simulates and one that waits, so that it never idles."""

ATTEMPTS = 3
"""How often a cohort may take its worker down, or fail, before the run fails."""

Report = Callable[[Totals], None]
Reference = Hashable
"""Stands for an answer that is on its way."""


class Raised(Exception):
    """The code that was asked for raised an error.

    Args:
        cause: That error.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


class Lost(Exception):
    """A process, or what it held, is gone; what it was asked may or may not have been done."""


class Unavailable(Lost):
    """A process does not answer at the moment."""


class Transport(Protocol):
    """Workers, the collector, and messages to them. Answers come in any order."""

    def wake(self, worker: int) -> Reference:
        """Asks a worker whether it is there and has its job; it is started again if it is gone."""
        ...

    def simulate(self, worker: int, cohort: int, last_attempt: bool) -> tuple[object, Reference]:
        """Asks a worker for a cohort's records: what stands for them, and the reference that tells that they are there."""
        ...

    def add(self, records: object) -> Reference:
        """Gives records to the collector, which answers with a receipt. It may get them more than once."""
        ...

    def wait(self, references: Sequence[Reference]) -> Sequence[Reference]:
        """Waits until an answer is there; which ones are."""
        ...

    def answer(self, reference: Reference) -> object:
        """An answer that is there.

        Raises:
            Raised: The code raised an error.
            Lost: Who was asked is gone.
        """
        ...

    def told(self, in_flight: int, retries: int) -> None:
        """Is told how many cohorts are on their way, and how many were lost and given again, for metrics."""
        ...


@dataclass(frozen=True)
class _Simulating:
    """A cohort that a worker has been given."""

    cohort: int
    worker: int
    records: object


class Schedule:
    """Keeps every worker busy until every cohort is committed. Knows cohorts by their numbers only.

    Attributes:
        todo: Cohorts to be given to workers.
        simulating: What workers have, by the reference that tells that it is done; oldest first.
        adding: Cohorts that the collector has been given, by the reference of its receipt.
        added: Cohorts that this collector process holds and has not committed. They are lost with it.
        load: Cohorts that each worker has; only workers that have answered since they were last started.
        waking: Workers that have not yet, by the reference of their answer.
    """

    def __init__(
        self, transport: Transport, layout: Layout, cohorts: Iterable[int], workers: int, report: Report
    ) -> None:
        self.transport, self.layout, self.report = transport, layout, report
        self.todo = deque(cohorts)
        self.uncommitted = {layout.range_of(cohort).start for cohort in self.todo}
        self.attempts: Counts[int] = Counts()
        self.simulating: dict[Reference, _Simulating] = {}
        self.adding: dict[Reference, int] = {}
        self.added: set[int] = set()
        self.collector_process = ""
        self.load: dict[int, int] = {}
        self.waking: dict[Reference, int] = {}
        self.most_adding = 2 * QUEUED_PER_WORKER * workers
        self.retries = 0
        for worker in range(workers):
            self._wake(worker)

    def until_committed(self) -> None:
        """Runs until everything is committed.

        Raises:
            RunError: A cohort or the collector failed for good; what was committed stays.
        """
        while self.uncommitted:
            self._submit()
            self.transport.told(len(self.simulating) + len(self.adding), self.retries)
            waiting = [*self.simulating, *self.adding, *self.waking]
            if not waiting:
                raise RunError("every worker has died and none could be started again; what was committed stays")
            for reference in self.transport.wait(waiting):
                if reference in self.simulating:
                    self._simulated(reference)
                elif reference in self.adding:
                    self._collected(reference)
                else:
                    self._woken(reference)

    def _submit(self) -> None:
        """Gives cohorts to workers that have room, unless the collector is behind."""
        while self.todo and self.load and len(self.adding) < self.most_adding:
            worker = min(self.load, key=lambda number: self.load[number])
            if self.load[worker] >= QUEUED_PER_WORKER:
                return
            cohort = self.todo.popleft()
            if self.layout.range_of(cohort).start not in self.uncommitted:
                continue
            last = self.attempts[cohort] == ATTEMPTS - 1
            records, done = self.transport.simulate(worker, cohort, last)
            self.simulating[done] = _Simulating(cohort, worker, records)
            self.load[worker] += 1

    def _simulated(self, reference: Reference) -> None:
        task = self.simulating[reference]
        first = next(other for other, one in self.simulating.items() if one.worker == task.worker)
        del self.simulating[reference]
        if task.worker in self.load:
            self.load[task.worker] -= 1
        try:
            self.transport.answer(reference)
        except (Raised, Lost) as error:
            raised = isinstance(error, Raised)
            if raised or first is reference:  # one that only waited behind it is not to blame
                self.attempts[task.cohort] += 1
            if self.attempts[task.cohort] == ATTEMPTS:
                raise self._for_good(task.cohort, error) from error
            self._again(task.cohort)
            if not raised and self.load.pop(task.worker, None) is not None:
                self._wake(task.worker)
            return
        self.adding[self.transport.add(task.records)] = task.cohort

    def _collected(self, reference: Reference) -> None:
        cohort = self.adding.pop(reference)
        try:
            receipt = self.transport.answer(reference)
        except Raised as error:
            if isinstance(error.cause, SimError):
                raise error.cause from error
            self._lost(cohort, error)
            return
        except Lost as error:  # the records were on a node that is gone, or the collector is
            self._lost(cohort, error)
            return
        assert isinstance(receipt, Receipt)
        if receipt.process != self.collector_process:  # it has been started again: what it held is gone
            for lost in sorted(self.added):
                self._again(lost)
            self.added.clear()
            self.collector_process = receipt.process
        if receipt.committed is None:
            self.added.add(cohort)
        else:
            self.added.difference_update(receipt.committed)
            self.uncommitted.discard(receipt.committed.start)
        self.report(receipt.totals)

    def _lost(self, cohort: int, error: Exception) -> None:
        self.attempts[cohort] += 1
        if self.attempts[cohort] > ATTEMPTS:
            raise self._for_good(cohort, error) from error
        self._again(cohort)

    def _again(self, cohort: int) -> None:
        self.todo.appendleft(cohort)
        self.retries += 1

    def _wake(self, worker: int) -> None:
        self.waking[self.transport.wake(worker)] = worker

    def _woken(self, reference: Reference) -> None:
        """A worker has answered, or is gone for good."""
        worker = self.waking.pop(reference)
        try:
            self.transport.answer(reference)
        except Unavailable:
            self._wake(worker)
            return
        except Raised as error:
            raise RunError(f"a worker could not start: {error.cause!r}") from error
        except Lost:
            return
        self.load[worker] = sum(task.worker == worker for task in self.simulating.values())

    def _for_good(self, cohort: int, error: Exception) -> SimError:
        """What a run fails with, of what a cohort failed with for the last time."""
        cause = error.cause if isinstance(error, Raised) else error.__cause__ or error
        if isinstance(cause, SimError):
            return cause
        advice = "lower clients.cohort, clients.chunk or bank capacities if memory ran out"
        return RunError(
            f"cohort {cohort} failed {ATTEMPTS} times, the last time with {cause!r}; {advice}; what was committed stays, go on "
            f"with --resume {shlex.quote(str(self.layout.folder))}"
        )
