"""Ray: actors that host a cohort each at a time, and one that collects.

Everything that knows Ray is in this file. The work itself is `CohortSimulator.simulate` and `Collector.add`, which run the same
in the calling process.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from sim.client import CohortResult, CohortSimulator, Job
from sim.collector import Collector, Layout, Totals
from sim.errors import RunError, SimError

QUEUED_PER_WORKER = 2
"""Cohorts given to a worker at a time: one that it simulates and one that waits, so that it never idles."""

OBJECT_STORE_BYTES = 512 * 1024**2
"""Room for what is in flight, beside the job itself."""


def run_here(job: Job, layout: Layout, cohorts: Iterable[int], report: Callable[[Totals], None]) -> None:
    """Simulates cohorts in the calling process, without Ray: for debugging, notebooks and small runs."""
    simulator, collector = CohortSimulator(job), Collector(layout)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for cohort in cohorts:
            report(collector.add(simulator.simulate(cohort)))
    finally:
        torch.set_num_threads(before)


def run_on_ray(
    job: Job, layout: Layout, cohorts: Iterable[int], workers: int, report: Callable[[Totals], None]
) -> None:
    """Simulates cohorts on Ray actors.

    Args:
        job: What to simulate; put into the object store once and shared by the workers of a node.
        layout: What to write, and where.
        cohorts: Which cohorts, in order.
        workers: Number of worker actors.
        report: Told the running totals.

    Raises:
        RunError: A worker or the collector failed for good; what was committed stays.
    """
    with ray_running(workers, OBJECT_STORE_BYTES + _array_bytes(job.store)):
        shared = ray.put(job)
        actors = [_WorkerActor.remote() for _ in range(workers)]
        collector = _CollectorActor.remote(layout)
        waiting = iter(cohorts)
        simulating: dict[ray.ObjectRef, tuple[ray.ObjectRef, int]] = {}  # progress -> (result, worker)
        collecting: list[ray.ObjectRef] = []

        def submit(worker: int) -> None:
            cohort = next(waiting, None)
            if cohort is not None:
                result, done = actors[worker].simulate.remote([shared], cohort)
                simulating[done] = result, worker

        try:
            for _ in range(QUEUED_PER_WORKER):
                for worker in range(workers):
                    submit(worker)
            while simulating or collecting:
                ready, _ = ray.wait([*simulating, *collecting], num_returns=1)
                for reference in ready:
                    value = ray.get(reference)
                    if reference in simulating:
                        result, worker = simulating.pop(reference)
                        collecting.append(collector.add.remote(result))
                        if len(collecting) > 2 * QUEUED_PER_WORKER * workers:  # the collector is behind: wait for it
                            report(ray.get(collecting.pop(0)))
                        submit(worker)
                    else:
                        collecting.remove(reference)
                        report(value)
        except RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, SimError) else RunError(f"simulating failed: {cause!r}")) from error
        except RayError as error:
            raise RunError(f"Ray failed: {error}") from error


def default_workers() -> int:
    """A worker for each CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def ray_running(workers: int, object_store_bytes: int) -> Iterator[None]:
    """Uses the Ray that is running, or starts one for as long as it is needed; none for 0 workers."""
    if workers == 0 or ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=object_store_bytes,
    )
    try:
        yield
    finally:
        ray.shutdown()


def _array_bytes(store: object) -> int:
    return sum(getattr(value, "nbytes", 0) for value in vars(store).values())


class _Worker:
    """Simulates cohorts, one at a time, on one thread."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.simulator: CohortSimulator | None = None

    @ray.method(num_returns=2)
    def simulate(self, job: list[ray.ObjectRef], cohort: int) -> tuple[CohortResult, int]:
        # Fetched once. The reference comes with every cohort, so that a worker which was started again has it.
        if self.simulator is None:
            self.simulator = CohortSimulator(ray.get(job[0]))
        return self.simulator.simulate(cohort), cohort


_WorkerActor = ray.remote(num_cpus=1, max_restarts=3, max_task_retries=3)(_Worker)
_CollectorActor = ray.remote(num_cpus=0)(Collector)
