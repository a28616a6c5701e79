"""One run, from a scenario to a report."""

import itertools
import time
from collections.abc import Sequence

import numpy as np

from iciia.contexts.iciia import ICIIA
from sim.addresses import Location
from sim.cloud.prepare import CloudArtifact
from sim.cohort.adapters import build_adapters
from sim.cohort.protocols import steps_together
from sim.cohort.simulator import CohortSimulator, Job
from sim.engine.collector import Layout, settle, write
from sim.engine.context import Context
from sim.engine.folder import claim, keep_provenance, write_run
from sim.engine.parts import job_of, layout_of, prepare
from sim.engine.plan import check_memory
from sim.engine.workers import OBJECT_STORE_BYTES, array_bytes, ray_running, run_here, run_on_ray
from sim.errors import SimError
from sim.files import DISK
from sim.page import write_report
from sim.page.sinks import log_run
from sim.report.load import Report, load
from sim.report.totals import final_tables, read_sums
from sim.scenario.adapters import adapter_name, expand, module_of
from sim.scenario.scenario import Scenario
from sim.streams.stream import Streams


def run_one(scenario: Scenario, folder: Location, context: Context) -> Report:
    """Runs a scenario without a sweep into a folder, or goes on with the run in it."""
    claim(folder, scenario, context.resume)
    started = time.perf_counter()
    try:
        artifact = prepare(scenario, context.cache, context.display.stage)
    except SimError:
        if not context.resume:  # leave nothing behind that looks like a run
            DISK.remove(folder)
        raise
    prepared = time.perf_counter()
    keep_provenance(folder, scenario, artifact.provenance)
    for name, said in artifact.provenance["modules"].items():
        module = artifact.modules[name]
        starts_as_backbone = isinstance(module, ICIIA) and module.head == "residual"
        if starts_as_backbone and said.get("best_step") == 0:
            context.display.note(f"module {name} stays the backbone: on its validation images no gain above chance")
    job = job_of(scenario, artifact)
    layout = layout_of(scenario, folder)
    settle(layout)
    committed = layout.committed()
    wanted = context.share.of(layout)
    before, todo = _clients(scenario, committed), [part for part in wanted if part not in committed]
    stream = job.stream()
    images_before, images = _images(stream, scenario, committed), _images(stream, scenario, todo)
    with (
        ray_running(
            context.workers if todo else 0, OBJECT_STORE_BYTES + array_bytes(job.store), context.address
        ) as workers,
        context.display.clients(before + _clients(scenario, todo), images_before) as display,
    ):
        cohorts = itertools.chain.from_iterable(todo)
        adapters = build_adapters(list(scenario.adapters), job.modules, job.source, scenario.clients).values()
        steps = steps_together(
            scenario.protocol, scenario.clients.chunk, stream.lengths(np.arange(scenario.clients.count))
        )
        here = workers if context.address is None else 1
        check_memory(scenario, adapters, job.store.feature_dim, job.store.classes, steps, here)
        if workers == 0:
            run_here(job, layout, cohorts, display.report)
        else:
            run_on_ray(job, layout, cohorts, min(workers, sum(map(len, todo))), display.report)
    simulated = time.perf_counter()
    _finish(layout, job, artifact)
    timings = {
        "cloud_s": prepared - started,
        "simulation_s": simulated - prepared,
        "images_simulated": images,
        "images_per_s": images / (simulated - prepared),
        "workers": workers,
    }
    done = sum(map(len, layout.committed()))
    write_run(
        folder,
        scenario,
        complete=True,
        cohorts_done=done,
        cohorts=layout.cohorts,
        provenance=artifact.provenance,
        timings=timings,
    )
    report = load(folder)
    write_report(report, context.cache)
    log_run(report, context.log)
    return report


def _clients(scenario: Scenario, ranges: Sequence[range]) -> int:
    """Clients of ranges of cohorts, without those that pad the last one."""
    return sum(map(len, _numbers(scenario, ranges)))


def _images(stream: Streams, scenario: Scenario, ranges: Sequence[range]) -> int:
    """Images of the clients of ranges of cohorts."""
    return sum(int(stream.lengths(np.asarray(numbers)).sum()) for numbers in _numbers(scenario, ranges))


def _numbers(scenario: Scenario, ranges: Sequence[range]) -> list[range]:
    size, count = scenario.clients.cohort, scenario.clients.count
    return [range(part.start * size, min(part.stop * size, count)) for part in ranges]


def _finish(layout: Layout, job: Job, artifact: CloudArtifact) -> None:
    """Writes the tables that are sums over all cohorts."""
    sums = read_sums(layout.file("sums", part) for part in layout.committed())
    modules = {adapter_name(one, variant): module_of(one) for one in job.adapters for variant in expand(one)}
    adapters = CohortSimulator(job).adapters
    final = final_tables(
        sums, adapters, modules, artifact.classes, artifact.split, artifact.backbone_macs, layout.window, layout.horizon,
        job.protocol,
    )  # fmt: skip
    for name, table in final.items():
        write(layout.folder / f"{name}.parquet", table, layout.metadata)
