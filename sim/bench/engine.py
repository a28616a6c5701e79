"""Simulator speed: where the time of a run goes, and how far the whole is from its bare kernel. Ratios, all from one run.

This is about the simulator. What an adapter costs on a device is in the `overhead` table.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim.cache import Cache
from sim.cloud.threads import torch_threads
from sim.cohort.simulator import CohortSimulator
from sim.engine.parts import job_of, prepare
from sim.engine.progress import Display
from sim.engine.run import run
from sim.report.records import cohort_tables
from sim.scenario.file import read
from sim.scenario.validation import validate

SCENARIO, QUICK_CLIENTS = "scale/million", 1024


@dataclass
class Stopwatch:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, with its time added to a stage."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started

        return measured

    def timed_iterator(self, stage: str, call: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """A call that gives an iterator, with the time of each item added to a stage."""

        def measured(*args: Any, **kwargs: Any) -> Iterator[Any]:
            step = self.timed(stage, next)
            iterator = call(*args, **kwargs)
            while (item := step(iterator, None)) is not None:
                yield item

        return measured


@dataclass(frozen=True)
class Measurement:
    """What one benchmark found.

    Args:
        stages: Seconds by stage for the simulated images, on one thread in one process.
        images: Images simulated there.
        engine_images_per_s: Images a second of a whole run with workers, from the first cohort's start to the last commit; Ray's
            start included.
        workers: Worker processes of that run.
    """

    stages: dict[str, float]
    images: int
    engine_images_per_s: float
    workers: int

    def lines(self) -> list[str]:
        """The measurement for people."""
        total = sum(self.stages.values())
        kernel = self.images / self.stages["adapters"]
        rows = [f"{'one process, one thread':<28}{self.images / total:>12,.0f} images/s"]
        rows += [f"  {stage:<26}{100 * seconds / total:>12.1f} %" for stage, seconds in self.stages.items()]
        rows.append(f"{'bare kernel (adapters only)':<28}{kernel:>12,.0f} images/s")
        rows.append(f"{'whole over bare kernel':<28}{100 * self.stages['adapters'] / total:>12.1f} %")
        rows.append(f"{f'engine, {self.workers} workers on Ray':<28}{self.engine_images_per_s:>12,.0f} images/s")
        share = self.engine_images_per_s / (kernel * self.workers)
        rows.append(f"{f'over {self.workers} bare kernels':<28}{100 * share:>12.1f} %")
        return rows


def measure(quick: bool, workers: int) -> Measurement:
    """Runs the benchmark.

    Args:
        quick: A tenth of the clients.
        workers: Worker processes of the whole run.
    """
    overrides = [f"clients.count={QUICK_CLIENTS}"] if quick else []
    scenario = validate(read(SCENARIO).override(overrides))
    artifact = prepare(scenario, Cache(), Display(quiet=True).stage)
    simulator = CohortSimulator(job_of(scenario, artifact))
    watch = Stopwatch()
    simulator.stream.plan = watch.timed("streams", simulator.stream.plan)  # type: ignore[method-assign]
    simulator.stream.chunks = watch.timed_iterator("streams", simulator.stream.chunks)  # type: ignore[method-assign]
    simulator.store = _Timed(artifact.test, watch)
    for adapter in simulator.adapters.values():
        adapter.predict = watch.timed("adapters", adapter.predict)  # type: ignore[method-assign]
    with torch_threads(1):
        simulator.simulate(0)
        watch.seconds.clear()
        started = time.perf_counter()
        results = [simulator.simulate(cohort) for cohort in range(min(2, scenario.cohorts))]
        simulated = time.perf_counter() - started
    images = sum(result.images.size for result in results)
    stages = dict(watch.seconds)
    stages["scoring"] = simulated - sum(stages.values())
    records = watch.timed("records", cohort_tables)
    for result in results:
        records(result, list(simulator.adapters), scenario.report.window, scenario.report.horizon, False, 16)
    stages["records"] = watch.seconds["records"]
    with tempfile.TemporaryDirectory() as folder:
        report = run(SCENARIO, overrides=overrides, out=Path(folder) / "report", workers=workers, quiet=True)
    return Measurement(stages, images, report.run["timings"]["images_per_s"], workers)


class _Timed:
    """A feature store whose look-ups are timed."""

    def __init__(self, store: Any, watch: Stopwatch) -> None:
        self._store = store
        self.gather = watch.timed("gather", store.gather)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
