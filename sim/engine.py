"""A run from scenario to report."""

import datetime
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sim import tables
from sim.adapters import adapter_name, expand
from sim.artifacts import CloudArtifact, platform_key, prepare
from sim.cache import Cache
from sim.client import CohortSimulator, Job
from sim.collector import Layout, write
from sim.errors import ReportError, RunError, SimError
from sim.feasibility import check_data
from sim.progress import Display
from sim.report import RUN_FILE, Report, load
from sim.scenario import IciiaAdapterSettings, Scenario
from sim.scenario_file import Document, cells, read
from sim.totals import final_tables, read_sums
from sim.validation import validate
from sim.workers import default_workers, ray_running, run_here, run_on_ray

SWEEP_OBJECT_STORE_BYTES = 2 * 1024**3


def run(
    scenario: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    workers: int | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Report:
    """Runs a scenario.

    Args:
        scenario: A YAML file, the name of a shipped scenario, or the settings as a dict.
        overrides: Assignments such as `clients.count=1000`.
        out: The report's folder; `reports/NAME-DATE` if None. It must be new or empty, unless `resume` is set.
        workers: Worker actors; None takes one for each CPU, 0 simulates in the calling process without Ray.
        resume: Whether to go on with the unfinished run in `out`.
        quiet: Whether to show no progress.

    Returns:
        The report. Its tables are the same to the bit for any number of workers.

    Raises:
        ScenarioError: The scenario has problems; nothing was written.
        RunError: The run failed; what was committed stays and can be resumed.
        ReportError: `out` holds something else.
    """
    document = read(scenario).override(overrides)
    validated = validate(document)
    context = _Context(default_workers() if workers is None else workers, resume, Display(quiet), Cache())
    folder = Path(out) if out is not None else _default_folder(validated.name)
    if validated.sweep:
        return _run_sweep(document, validated, folder, context)
    check_data(document, validated, context.cache)
    return _run_one(validated, folder, context)


@dataclass(frozen=True)
class _Context:
    """How to run, as opposed to what."""

    workers: int
    resume: bool
    display: Display
    cache: Cache


def _default_folder(name: str) -> Path:
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("reports") / f"{name}-{stamp}"


def _run_one(scenario: Scenario, folder: Path, context: _Context) -> Report:
    _claim(folder, scenario, context.resume)
    started = time.perf_counter()
    try:
        artifact = prepare(scenario, context.cache, context.display.stage)
    except SimError:
        if not context.resume:  # leave nothing behind that looks like a run
            shutil.rmtree(folder)
        raise
    prepared = time.perf_counter()
    job = Job(scenario, artifact.classes.superclass, artifact.test, artifact.modules)
    layout = _layout(scenario, folder)
    committed = layout.committed()
    todo = [cohort for cohort in range(layout.cohorts) if cohort not in committed]
    length = scenario.clients.images
    images_before = length * sum(_real(scenario, cohort) for cohort in committed)
    with context.display.clients(scenario.clients.count, images_before) as display:
        if context.workers == 0:
            run_here(job, layout, todo, display.report)
        elif todo:
            run_on_ray(job, layout, todo, min(context.workers, len(todo)), display.report)
    simulated = time.perf_counter()
    _finish(layout, job, artifact)
    images = length * sum(_real(scenario, cohort) for cohort in todo)
    timings = {
        "cloud_s": prepared - started,
        "simulation_s": simulated - prepared,
        "images_simulated": images,
        "images_per_s": images / (simulated - prepared),
        "workers": context.workers,
    }
    _write_run(folder, scenario, complete=True, provenance=artifact.provenance, timings=timings)
    return load(folder)


def _real(scenario: Scenario, cohort: int) -> int:
    """Clients of a cohort, without those that pad it."""
    size = scenario.clients.cohort
    return min(size, scenario.clients.count - cohort * size)


def _layout(scenario: Scenario, folder: Path) -> Layout:
    expanded = [(one, capacity) for one in scenario.adapters for capacity in expand(one)]
    return Layout(
        folder=folder,
        cohorts=scenario.cohorts,
        adapters=[adapter_name(one, capacity) for one, capacity in expanded],
        sharded=tables.sharded_tables(scenario),
        window=scenario.report.window,
        horizon=scenario.report.horizon,
        largest_bank=max(capacity or 0 for _, capacity in expanded),
        metadata=tables.metadata(scenario),
    )


def _finish(layout: Layout, job: Job, artifact: CloudArtifact) -> None:
    """Writes the tables that are sums over all cohorts."""
    firsts = range(0, layout.cohorts, layout.per_range)
    sums = read_sums(layout.file("sums", layout.range_of(first)) for first in firsts)
    modules = {
        adapter_name(one, capacity): one.module if isinstance(one, IciiaAdapterSettings) else None
        for one in job.scenario.adapters
        for capacity in expand(one)
    }
    adapters = CohortSimulator(job).adapters
    window = job.scenario.report.window
    final = final_tables(sums, adapters, modules, artifact.classes, artifact.split, artifact.backbone_macs, window)
    for name, table in final.items():
        write(layout.folder / f"{name}.parquet", table, layout.metadata)


# --- the report's folder ----------------------------------------------------------------------------------------------


def _claim(folder: Path, scenario: Scenario, resume: bool) -> None:
    """Makes the report's folder, or checks that it holds this very run.

    Raises:
        ReportError: It holds something else.
        RunError: It cannot be written.
    """
    try:
        occupied = folder.exists() and any(folder.iterdir())
    except OSError as error:
        raise RunError(f"{folder}: the report cannot be written there ({error.strerror})") from error
    if not occupied:
        if resume:
            raise ReportError(f"{folder}: holds no run that could be resumed")
        _write_run(folder, scenario, complete=False)
        return
    if not resume:
        raise ReportError(f"{folder}: is not empty; choose another folder, or go on with an unfinished run by --resume")
    try:
        found = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{folder}: holds no run that could be resumed (no readable {RUN_FILE} in it)") from error
    here = {
        "schema_version": tables.SCHEMA_VERSION,
        "scenario_digest": scenario.digest(),
        "platform": platform_key(),
    }
    for name, value in here.items():
        if found.get(name) != value:
            raise ReportError(
                f"{folder}: holds a run with another {name.replace('_', ' ')} ({found.get(name)}, and here {value}); "
                "its tables would not fit together"
            )


def _write_run(folder: Path, scenario: Scenario, complete: bool, **more: Any) -> None:
    """Writes `run.json`: what is run here, and once it is complete how it went."""
    content = {
        "schema_version": tables.SCHEMA_VERSION,
        "complete": complete,
        "name": scenario.name,
        "seed": scenario.seed,
        "scenario_digest": scenario.digest(),
        "scenario": scenario.model_dump(mode="json"),
        "platform": platform_key(),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **more,
    }
    temporary = folder / f".{RUN_FILE}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, folder / RUN_FILE)
    except OSError as error:
        raise RunError(f"{folder}: the report cannot be written there ({error.strerror})") from error


# --- sweeps -----------------------------------------------------------------------------------------------------------


def _run_sweep(document: Document, scenario: Scenario, folder: Path, context: _Context) -> Report:
    """Runs every cell of a sweep, each with a report of its own inside; finished cells are not run again."""
    runs = [(chosen, cell, validate(cell)) for chosen, cell in cells(document)]
    for _, cell, validated in runs:
        check_data(cell, validated, context.cache)
    _claim(folder, scenario, context.resume)
    frames: dict[str, list[pd.DataFrame]] = {"sweep": [], "answers": []}
    with ray_running(context.workers, SWEEP_OBJECT_STORE_BYTES):
        for number, (chosen, _, validated) in enumerate(runs, start=1):
            title = ", ".join(f"{key}={value}" for key, value in chosen.items())
            context.display.note(f"[{number}/{len(runs)}] {title}")
            report = _cell(validated, folder / "cells" / f"{number:04d}", context)
            for name, frame in (("sweep", report.summary), ("answers", report.answers)):
                for place, (key, value) in enumerate(chosen.items()):
                    shown = json.dumps(value) if isinstance(value, dict | list) else value
                    frame.insert(place, key, [shown] * len(frame))
                frames[name].append(frame)
    for name, parts in frames.items():
        table = pa.Table.from_pandas(pd.concat(parts, ignore_index=True), preserve_index=False)
        write(folder / f"{name}.parquet", table, tables.metadata(scenario))
    _write_run(folder, scenario, complete=True, sweep=list(scenario.sweep))
    return load(folder)


def _cell(scenario: Scenario, folder: Path, context: _Context) -> Report:
    started = (folder / RUN_FILE).is_file()
    if started:
        _claim(folder, scenario, resume=True)
        if json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["complete"]:
            return load(folder)
    cell_context = _Context(context.workers, started, context.display, context.cache)
    return _run_one(scenario, folder, cell_context)
