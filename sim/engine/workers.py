"""Ray: actors that host a cohort each at a time, and one that collects.

Everything that knows Ray is in this file. The work itself is `simulated` and `Collector.add`, which run the same in the calling
process; `Schedule` says what goes where.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence

import ray
import torch
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError
from ray.util.metrics import Counter, Gauge
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sim.cloud.threads import torch_threads
from sim.cohort.simulator import CohortSimulator, Job
from sim.engine.collector import Collector, Layout
from sim.engine.schedule import Lost, Raised, Reference, Report, Schedule, Unavailable
from sim.errors import RunError
from sim.report.records import cohort_tables
from sim.report.sums import CohortRecords

OBJECT_STORE_BYTES = 512 * 1024**2
"""Room for what is in flight, beside the job itself."""


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
        Schedule(_RayTransport(job, layout, workers), layout, cohorts, workers, report).until_committed()
    except RayError as error:
        raise RunError(f"Ray failed: {error}; what was committed stays") from error


class _RayTransport:
    """Ray's actors and messages, as a schedule sees them.

    Args:
        job: What to simulate; put into the object store once and shared by the workers of a node.
        layout: What to write, and where; the collector runs on this node.
        workers: Number of worker actors.
    """

    def __init__(self, job: Job, layout: Layout, workers: int) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.collector = _CollectorActor.options(scheduling_strategy=here).remote(layout)
        # In a list, so that it is fetched by the worker and not for each call; with every call, so that a worker which was
        # started again has it.
        self.shared = [ray.put((job, layout))]
        self.workers = [_WorkerActor.remote() for _ in range(workers)]
        self.retries = Counter("iciia_retries", "Cohorts simulated again after a failure")
        self.counted = 0
        self.in_flight = Gauge("iciia_cohorts_in_flight", "Cohorts with a worker or the collector")

    def wake(self, worker: int) -> Reference:
        return self.workers[worker].prepare.remote(self.shared)

    def simulate(self, worker: int, cohort: int, last_attempt: bool) -> tuple[object, Reference]:
        records, done = self.workers[worker].simulate.remote(self.shared, cohort, last_attempt)
        return records, done

    def add(self, records: object) -> Reference:
        return self.collector.add.remote(records)

    def wait(self, references: Sequence[Reference]) -> Sequence[Reference]:
        ready: list[Reference] = ray.wait(list(references), num_returns=1)[0]
        return ready

    def answer(self, reference: Reference) -> object:
        try:
            return ray.get(reference)
        except RayTaskError as error:
            raise Raised(error.cause) from error
        except ActorUnavailableError as error:
            raise Unavailable(error) from error
        except RayError as error:
            raise Lost(error) from error

    def told(self, in_flight: int, retries: int) -> None:
        self.in_flight.set(in_flight)
        if retries > self.counted:
            self.retries.inc(retries - self.counted)
            self.counted = retries


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
