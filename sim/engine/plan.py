"""What a run will take: counted by formula, and timed on one chunk of one cohort on this machine."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters import Adapter
from iciia.adapters.source import Source
from iciia.cloud.backbone import create_backbone
from iciia.cloud.features import ArrayStore, FeatureStore
from iciia.counter import generator
from sim.cache import Cache
from sim.cloud.live import LiveStore
from sim.cloud.modules import untrained
from sim.cloud.spec import CloudSpec, feature_dim
from sim.cloud.threads import torch_threads
from sim.cohort.protocols import steps_together
from sim.cohort.simulator import CohortSimulator, Job
from sim.data import Features, Images
from sim.engine.feasibility import check_data
from sim.engine.parts import cloud_spec, layout_of
from sim.engine.schedule import QUEUED_PER_WORKER
from sim.engine.workers import simulated
from sim.errors import RunError
from sim.scenario.file import Document, cells
from sim.scenario.scenario import Scenario
from sim.scenario.validation import validate

PROCESS_BYTES = 600 * 1000**2
"""A process with torch in it, before it simulates anything: a worker, the collector, the driver. Shared pages count in parts."""

RAY_BYTES = 400 * 1000**2
"""Ray's own processes."""


@dataclass(frozen=True)
class Plan:
    """What a run will take.

    Args:
        clients: Clients.
        images: Images in all streams together.
        adapters: Adapters, each of which predicts every image.
        cohorts: Cohorts.
        workers: Worker actors.
        worker_bytes: Memory of a worker while it simulates a cohort.
        memory_bytes: Memory of all processes while they simulate; what the cloud takes before is left out.
        available_bytes: Memory that is free on this machine.
        store_bytes: The store of features, shared by the workers.
        report_bytes: The report, uncompressed.
        macs: Multiply-adds of all adapters over all images, by formula, the backbone's left out.
        cohort_seconds: Time for one cohort on one thread, measured.
        cell: What this cell of a sweep sets, `seed=3`; empty where nothing is swept.
    """

    clients: int
    images: int
    adapters: int
    cohorts: int
    workers: int
    worker_bytes: int
    memory_bytes: int
    available_bytes: int
    store_bytes: int
    report_bytes: int
    macs: int
    cohort_seconds: float
    cell: str = ""

    @property
    def seconds(self) -> float:
        """Time for the whole simulation, Ray's start and the cloud left out."""
        return self.cohorts * self.cohort_seconds / max(self.workers, 1)

    def check(self) -> None:
        """Refuses what cannot fit into the memory that is free on this machine.

        Raises:
            RunError: It cannot; the message says what to lower.
        """
        if self.memory_bytes > self.available_bytes:
            raise _too_much(self.memory_bytes, self.available_bytes, self.workers)

    def rows(self) -> Iterator[tuple[str, str]]:
        """The plan for people."""
        yield "clients", f"{self.clients:,}"
        yield "images", f"{self.images:,}, each predicted by {self.adapters} adapters"
        yield "cohorts", f"{self.cohorts:,}"
        yield "workers", f"{self.workers}"
        yield "memory of a worker", _size(self.worker_bytes)
        yield "memory in all", f"{_size(self.memory_bytes)} of {_size(self.available_bytes)} free"
        yield "feature store", _size(self.store_bytes)
        yield "report, at most", _size(self.report_bytes)
        yield "adapters' MACs", f"{self.macs:.3e}"
        yield "one cohort, one thread", f"{self.cohort_seconds:.2f} s"
        yield "simulation once started", _duration(self.seconds)


def plans(document: Document, cache: Cache, workers: int) -> Iterator[Plan]:
    """The plan of a scenario, or of each cell of its sweep.

    Raises:
        ScenarioError: The scenario has problems.
    """
    validate(document)
    for chosen, cell in cells(document):
        title = ", ".join(f"{key}={value}" for key, value in chosen.items())
        yield replace(plan(cell, validate(cell), cache, workers), cell=title)


def plan(document: Document, scenario: Scenario, cache: Cache, workers: int) -> Plan:
    """Plans a run: trains and computes nothing, but simulates one cohort of untrained modules on made-up features.

    Args:
        document: Where the scenario came from.
        scenario: A validated scenario.
        cache: Where scans of image folders are.
        workers: Worker actors.

    Raises:
        ScenarioError: The data do not have what the scenario asks for.
    """
    check_data(document, scenario, cache)
    spec = cloud_spec(scenario)
    data = spec.open(cache)
    features, classes = feature_dim(spec, data), len(data.classes)
    modules = {name: untrained(one, features, data.classes, cache) for name, one in scenario.modules.items()}
    store = _store(spec, data, features, classes)
    simulator = CohortSimulator(
        Job(
            scenario.clients,
            scenario.adapters,
            scenario.protocol,
            scenario.seed,
            data.classes.superclass,
            store,
            modules,
            Source.blank(features, classes),
            data.test_clients,
            data.test_times,
        )
    )
    lengths = simulator.stream.lengths(np.arange(scenario.clients.count))
    images, steps = int(lengths.sum()), steps_together(scenario.protocol, scenario.clients.chunk, lengths)
    layout = layout_of(scenario, Path())
    check_memory(scenario, simulator.adapters.values(), features, classes, steps, workers)
    with torch_threads(1):
        simulator.simulate(0)
        started = time.perf_counter()
        records = simulated(simulator, layout, 0)
        seconds = time.perf_counter() - started
    costs = [adapter.cost() for adapter in simulator.adapters.values()]
    computed = scenario.data.kind == "synthetic" or isinstance(store, LiveStore)
    store_bytes = 0 if computed else 4 * len(store.labels) * (features + classes)
    worker = worker_bytes(scenario, simulator.adapters.values(), features, classes, steps)
    rows = sum(table.nbytes for table in records.rows.values())
    sums = 64 * len(records.sums)
    waiting = max(layout.per_range, 2 * QUEUED_PER_WORKER * workers) * (rows + sums)
    around = 2 * PROCESS_BYTES + RAY_BYTES if workers else 0  # the driver, the collector and Ray
    return Plan(
        clients=scenario.clients.count,
        images=images,
        adapters=len(costs),
        cohorts=scenario.cohorts,
        workers=workers,
        worker_bytes=worker,
        memory_bytes=around + max(workers, 1) * worker + store_bytes + 2 * waiting,
        available_bytes=psutil.virtual_memory().available,
        store_bytes=store_bytes,
        report_bytes=scenario.cohorts * rows + len(layout.ranges()) * sums,
        macs=images * sum(cost.macs_per_image for cost in costs),
        cohort_seconds=seconds,
    )


def worker_bytes(scenario: Scenario, adapters: Iterable[Adapter], features: int, classes: int, steps: int) -> int:
    """Memory of a worker: torch, the features and scores of the steps that are in memory together, and the banks of a cohort before
    and after them."""
    costs = [adapter.cost() for adapter in adapters]
    clients = scenario.clients
    chunk = clients.cohort * steps * 4 * (8 * features + 4 * classes)
    banks = clients.cohort * (sum(cost.state_bytes for cost in costs) + max(cost.state_bytes for cost in costs))
    return PROCESS_BYTES + chunk + banks + 4 * sum(cost.parameters for cost in costs)


def check_memory(
    scenario: Scenario, adapters: Iterable[Adapter], features: int, classes: int, steps: int, workers: int
) -> None:
    """Refuses what cannot fit into the memory that is free on this machine.

    Raises:
        RunError: It cannot; the message says what to lower.
    """
    needed = worker_bytes(scenario, adapters, features, classes, steps) * max(workers, 1)
    free = psutil.virtual_memory().available
    if needed > free:
        raise _too_much(needed, free, workers)


def _too_much(needed: int, free: int, workers: int) -> RunError:
    ways = ["clients.cohort", "bank capacities", "or set storage: float16"]
    ways = [f"--workers (now {workers})", *ways] if workers > 1 else ways
    return RunError(f"needs about {_size(needed)} of memory, and {_size(free)} are free; lower {', '.join(ways)}")


def _store(spec: CloudSpec, data: Images | Features, features: int, classes: int) -> FeatureStore:
    """A store that takes as long as the real one; a live backbone has untrained weights."""
    if not isinstance(data, Images) or spec.backbone is None or spec.backbone.execution == "store":
        return _StandIn.like(np.asarray(data.test.labels), features, classes)
    settings = spec.backbone
    backbone = create_backbone(
        settings.model, data.test.channels, spec.device, classes, settings.image_size, settings.arguments
    )
    return LiveStore.of(data.test, backbone, spec.camera)


class _StandIn(ArrayStore):
    """A store with the real labels and a few rows of made-up features, which take as long to look up and to calibrate."""

    @staticmethod
    def like(labels: NDArray[np.int64], features: int, classes: int) -> "_StandIn":
        rng = generator(0, "plan")
        rows = min(len(labels), 4096)
        return _StandIn(
            rng.standard_normal((rows, features), np.float32), rng.standard_normal((rows, classes), np.float32), labels
        )

    def gather(self, images: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return super().gather(images % len(self.features))


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
