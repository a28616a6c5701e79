"""Ray: actors that host a cohort each at a time, and one that collects.

Everything that knows Ray is in this file. The work itself is `simulated` and `Collector.add`, which run the same in the calling
process. Who fails is replaced and what was lost is simulated again: a cohort's result is a pure function of its number, and adding
it twice changes nothing.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import ray
import torch
from ray.exceptions import RayError, RayTaskError
from ray.util.metrics import Counter, Gauge
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sim.cloud.threads import torch_threads
from sim.cohort.simulator import CohortSimulator, Job
from sim.engine.collector import Collector, Layout, Receipt, Totals
from sim.errors import RunError, SimError
from sim.report.records import cohort_tables
from sim.report.sums import CohortRecords

QUEUED_PER_WORKER = 2
"""Cohorts given to a worker at a time: one that it simulates and one that waits, so that it never idles."""

ATTEMPTS = 3
"""How often a cohort may take its worker down, or fail, before the run fails."""

OBJECT_STORE_BYTES = 512 * 1024**2
"""Room for what is in flight, beside the job itself."""

Report = Callable[[Totals], None]


def simulated(simulator: CohortSimulator, layout: Layout, cohort: int) -> CohortRecords:
    """The rows of one cohort."""
    result = simulator.simulate(cohort)
    events = "events" in layout.sharded
    rows, sums = cohort_tables(
        result, layout.adapters, layout.window, layout.horizon, events, layout.largest_bank
    )  # fmt: skip
    return CohortRecords(cohort, rows, sums, int(result.lengths.sum()))


def run_here(job: Job, layout: Layout, cohorts: Iterable[int], report: Report) -> None:
    """Simulates cohorts in the calling process, without Ray: for debugging, notebooks and small runs."""
    simulator, collector = CohortSimulator(job), Collector(layout)
    with torch_threads(1):
        for cohort in cohorts:
            try:
                records = simulated(simulator, layout, cohort)
            except Exception as error:
                raise simulator.explain(cohort, error, layout.folder) from error
            report(collector.add(records).totals)


def run_on_ray(job: Job, layout: Layout, cohorts: Iterable[int], workers: int, report: Report) -> None:
    """Simulates cohorts on the actors of the running Ray.

    Args:
        job: What to simulate; put into the object store once and shared by the workers of a node.
        layout: What to write, and where; the collector runs on this node.
        cohorts: Which cohorts, in order.
        workers: Number of worker actors.
        report: Told the running totals.

    Raises:
        RunError: A cohort or the collector failed for good; what was committed stays.
    """
    try:
        _Run(job, layout, cohorts, workers, report).until_committed()
    except RayError as error:
        raise RunError(f"Ray failed: {error}; what was committed stays") from error


@dataclass(frozen=True)
class _Simulating:
    """A cohort that a worker has been given."""

    cohort: int
    worker: int
    records: ray.ObjectRef


class _Run:
    """Keeps every worker busy until every cohort is committed. Knows cohorts by their numbers only.

    Attributes:
        todo: Cohorts to be given to workers.
        simulating: What workers have, by the reference that tells that it is done; oldest first.
        adding: Cohorts that the collector has been given, by the reference of its receipt.
        added: Cohorts that this collector process holds and has not committed. They are lost with it.
        load: Cohorts that each worker has; only workers that have answered since they were last started.
        waking: Workers that have not yet, by the reference of their answer.
    """

    def __init__(self, job: Job, layout: Layout, cohorts: Iterable[int], workers: int, report: Report) -> None:
        self.layout = layout
        self.report = report
        self.todo = deque(cohorts)
        self.uncommitted = {layout.range_of(cohort).start for cohort in self.todo}
        self.attempts: Counts[int] = Counts()
        self.simulating: dict[ray.ObjectRef, _Simulating] = {}
        self.adding: dict[ray.ObjectRef, int] = {}
        self.added: set[int] = set()
        self.collector_process = ""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.collector = _CollectorActor.options(scheduling_strategy=here).remote(layout)
        # In a list, so that it is fetched by the worker and not for each call; with every call, so that a worker which was
        # started again has it.
        self.shared = [ray.put((job, layout))]
        self.workers = [_WorkerActor.remote() for _ in range(workers)]
        self.load: dict[int, int] = {}
        self.waking: dict[ray.ObjectRef, int] = {}
        for worker in range(workers):
            self._wake(worker)
        self.most_adding = 2 * QUEUED_PER_WORKER * workers
        self.retries = Counter("iciia_retries", "Cohorts simulated again after a failure")
        self.in_flight = Gauge("iciia_cohorts_in_flight", "Cohorts with a worker or the collector")

    def until_committed(self) -> None:
        """Runs until everything is committed."""
        while self.uncommitted:
            self._submit()
            self.in_flight.set(len(self.simulating) + len(self.adding))
            waiting = [*self.simulating, *self.adding, *self.waking]
            if not waiting:
                raise RunError("every worker has died and none could be started again; what was committed stays")
            for reference in ray.wait(waiting, num_returns=1)[0]:
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
            records, done = self.workers[worker].simulate.remote(self.shared, cohort, last)
            self.simulating[done] = _Simulating(cohort, worker, records)
            self.load[worker] += 1

    def _simulated(self, reference: ray.ObjectRef) -> None:
        task = self.simulating[reference]
        first = next(other for other, one in self.simulating.items() if one.worker == task.worker)
        del self.simulating[reference]
        if task.worker in self.load:
            self.load[task.worker] -= 1
        try:
            ray.get(reference)
        except RayError as error:
            raised = isinstance(error, RayTaskError)
            if raised or first is reference:  # one that only waited behind it is not to blame
                self.attempts[task.cohort] += 1
            if self.attempts[task.cohort] == ATTEMPTS:
                raise _for_good(task.cohort, error, self.layout) from error
            self._again(task.cohort)
            if not raised and self.load.pop(task.worker, None) is not None:
                self._wake(task.worker)
            return
        self.adding[self.collector.add.remote(task.records)] = task.cohort

    def _collected(self, reference: ray.ObjectRef) -> None:
        cohort = self.adding.pop(reference)
        try:
            receipt: Receipt = ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, SimError):
                raise error.cause from error
            self._lost(cohort, error)
            return
        except RayError as error:  # the records were on a node that is gone, or the collector is
            self._lost(cohort, error)
            return
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

    def _lost(self, cohort: int, error: RayError) -> None:
        self.attempts[cohort] += 1
        if self.attempts[cohort] > ATTEMPTS:
            raise _for_good(cohort, error, self.layout) from error
        self._again(cohort)

    def _again(self, cohort: int) -> None:
        self.todo.appendleft(cohort)
        self.retries.inc()

    def _wake(self, worker: int) -> None:
        self.waking[self.workers[worker].prepare.remote(self.shared)] = worker

    def _woken(self, reference: ray.ObjectRef) -> None:
        """A worker has answered, or is gone for good."""
        worker = self.waking.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.ActorUnavailableError:
            self._wake(worker)
            return
        except RayTaskError as error:
            raise RunError(f"a worker could not start: {error.cause!r}") from error
        except RayError:
            return
        self.load[worker] = sum(task.worker == worker for task in self.simulating.values())


def _for_good(cohort: int, error: RayError, layout: Layout) -> SimError:
    """What a run fails with, of what a cohort failed with for the last time."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, SimError):
        return cause
    advice = "lower clients.cohort, clients.chunk or bank capacities if memory ran out"
    return RunError(
        f"cohort {cohort} failed {ATTEMPTS} times, the last time with {cause!r}; {advice}; what was committed stays, go on "
        f"with --resume {layout.folder}"
    )


def cpus_here() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def ray_running(workers: int | None, object_store_bytes: int, address: str | None = None) -> Iterator[int]:
    """Uses the Ray that is running, or starts one for as long as it is needed; none for 0 workers.

    Args:
        workers: Worker actors; None takes one for each CPU of the cluster.
        object_store_bytes: Room for shared objects, if Ray is started here.
        address: An existing cluster to connect to.

    Yields:
        The number of workers.

    Raises:
        RunError: There is no cluster at the address.
    """
    if workers == 0:
        yield 0
        return
    started = not ray.is_initialized()
    if started:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        options = (
            {"address": address}
            if address is not None
            else {
                "num_cpus": workers or cpus_here(),
                "include_dashboard": False,
                "object_store_memory": object_store_bytes,
            }
        )
        try:
            if address is not None and ":" in address:  # Ray itself would try for two minutes
                host, _, port = address.rpartition("/")[2].rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()
            with _own_sigterm():
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise RunError(f"no Ray cluster answers at {address!r}: {error}") from error
    try:
        yield workers or int(ray.cluster_resources().get("CPU", 1))
    finally:
        if started:
            ray.shutdown()


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keeps this process's answer to SIGTERM, which Ray replaces by an exit without a word."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def array_bytes(store: object) -> int:
    """Bytes of a store's arrays, or of the weights of the backbone that it runs."""
    values = [*vars(store).values()]
    values += [weights for value in values if isinstance(value, dict) for weights in value.values()]
    return sum(getattr(value, "nbytes", 0) for value in values)


class _Worker:
    """Simulates cohorts, one at a time, on one thread."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.simulator: CohortSimulator | None = None
        self.images = Counter("iciia_images", "Images simulated")
        self.cohorts = Counter("iciia_cohorts", "Cohorts simulated")
        self.bank_bytes = Gauge("iciia_bank_bytes", "Bytes of a cohort's banks when they are full")

    def prepare(self, shared: list[ray.ObjectRef]) -> None:
        """Fetches the job, once."""
        self._ready(shared)

    def _ready(self, shared: list[ray.ObjectRef]) -> tuple[CohortSimulator, Layout]:
        if self.simulator is None:
            job, self.layout = ray.get(shared[0])
            self.simulator = CohortSimulator(job)
            states = [adapter.cost().state_bytes for adapter in self.simulator.adapters.values()]
            self.bank_bytes.set(sum(states) * job.clients.cohort)
        return self.simulator, self.layout

    @ray.method(num_returns=2)
    def simulate(self, shared: list[ray.ObjectRef], cohort: int, last_attempt: bool) -> tuple[CohortRecords, None]:
        """The rows of a cohort, and a second value that tells the driver that they are there."""
        simulator, layout = self._ready(shared)
        try:
            records = simulated(simulator, layout, cohort)
        except Exception as error:
            if last_attempt:
                raise simulator.explain(cohort, error, layout.folder) from error
            raise
        self.images.inc(records.images)
        self.cohorts.inc()
        return records, None


_WorkerActor = ray.remote(num_cpus=1, max_restarts=-1)(_Worker)
_CollectorActor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Collector)
