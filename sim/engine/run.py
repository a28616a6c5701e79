"""A run from scenario to report."""

import datetime
import itertools
import json
import os
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sim.cache import Cache
from sim.cloud.artifacts import CloudArtifact, platform_key, prepare
from sim.cloud.threads import torch_threads
from sim.cohort.adapters import build_adapters
from sim.cohort.protocols import steps_together
from sim.cohort.simulator import CohortSimulator, Job, PredictionFailed
from sim.engine.collector import Layout, layout_of, write
from sim.engine.feasibility import check_data
from sim.engine.plan import check_memory
from sim.engine.progress import Display
from sim.engine.workers import OBJECT_STORE_BYTES, array_bytes, ray_running, run_here, run_on_ray
from sim.errors import Interrupted, ReportError, RunError, SimError
from sim.outputs import dated
from sim.page import write_report
from sim.report import schema
from sim.report.load import RUN_FILE, Report, load
from sim.report.records import cohort_tables
from sim.report.sinks import check_sinks, log_run
from sim.report.totals import final_tables, read_sums
from sim.scenario.adapters import adapter_name, expand, module_of
from sim.scenario.file import Document, cells, read
from sim.scenario.scenario import Scenario
from sim.scenario.validation import validate
from sim.streams.stream import Streams

SWEEP_OBJECT_STORE_BYTES = 2 * 1024**3


def run(
    scenario: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    workers: int | None = None,
    address: str | None = None,
    cohorts: str | None = None,
    resume: bool = False,
    log: Sequence[str] = (),
    quiet: bool = False,
) -> Report:
    """Runs a scenario.

    Args:
        scenario: A YAML file, the name of a shipped scenario, or the settings as a dict.
        overrides: Assignments such as `clients.count=1000`.
        out: The report's folder; `reports/NAME-DATE` if None. It must be new or empty, unless `resume` is set.
        workers: Worker actors; None takes one for each CPU, 0 simulates in the calling process without Ray.
        address: A Ray cluster to use, `auto` for the one that runs here; None starts one for this run.
        cohorts: Simulate only these, `0:5%` or `10:20`, widened to whole ranges of cohorts that are committed together. The report
            is of what is there; the rest can follow by `resume`.
        resume: Whether to go on with the run in `out`.
        log: Where to log the finished run as well: `tensorboard` (into the report's folder), `mlflow`, `wandb`.
        quiet: Whether to show no progress.

    Returns:
        The report. Its tables are the same to the bit for any number of workers.

    Raises:
        ScenarioError: The scenario has problems; nothing was written.
        RunError: The run failed, or was interrupted; what was committed stays and can be resumed.
        ReportError: `out` holds something else.
    """
    document = read(scenario).override(overrides)
    validated = validate(document)
    check_sinks(log)
    context = _Context(workers, address, _Share.parse(cohorts), resume, Display(quiet), Cache(), log)
    folder = Path(out) if out is not None else dated(validated.name)
    try:
        if validated.sweep:
            return _run_sweep(document, validated, folder, context)
        check_data(document, validated, context.cache, context.display.stage)
        return _run_one(validated, folder, context)
    except KeyboardInterrupt:
        source = scenario if isinstance(scenario, str | Path) else "SCENARIO"
        sets = [part for assignment in overrides for part in ("--set", assignment)]
        again = shlex.join(["iciia", "run", str(source), *sets, "--resume", str(folder)])
        raise Interrupted(f"stopped; what was committed stays; go on with: {again}") from None


def replay(folder: str | Path, client: int) -> pd.DataFrame:
    """Simulates one client of a run again, alone, in the calling process, to the same bits.

    Args:
        folder: The run's folder; the run need not be finished.
        client: The client's number.

    Returns:
        A row for each of its predictions, as in `events`.

    Raises:
        ReportError: The folder holds no run, or one of another platform or without such a client.
        Exception: Whatever an adapter raises, as it is, for a debugger.
    """
    found = _read_run(Path(folder))
    scenario = Scenario.model_validate_json(json.dumps(found.get("scenario")))
    _check_same(Path(folder), found, scenario)
    if not 0 <= client < scenario.clients.count:
        raise ReportError(f"{folder}: got client {client}; it has 0 to {scenario.clients.count - 1}")
    artifact = prepare(scenario, Cache(), Display(quiet=True).stage)
    simulator = CohortSimulator(_job(scenario, artifact))
    try:
        with torch_threads(1):
            result = simulator.replay(client)
    except PredictionFailed as failed:
        raise failed.cause from None
    layout = layout_of(scenario, Path(folder))
    rows, _ = cohort_tables(result, layout.adapters, layout.window, layout.horizon, True, layout.largest_bank)
    frame: pd.DataFrame = rows["events"].to_pandas()
    return frame


@dataclass(frozen=True)
class _Share:
    """A part of all cohorts.

    Args:
        start: First, as a number or as a share.
        stop: One past the last, likewise.
    """

    start: int | float
    stop: int | float

    @staticmethod
    def parse(text: str | None) -> "_Share":
        """Reads `0:5%`, `10:20`, `:50%`.

        Raises:
            RunError: It is something else.
        """
        first, colon, last = ("0:100%" if text is None else text).partition(":")
        try:
            if not colon:
                raise ValueError
            start, stop = (
                float(end[:-1]) / 100 if end.endswith("%") else int(end) for end in (first or "0", last or "100%")
            )
        except ValueError:
            raise RunError(
                f"got cohorts {text!r}; expected FIRST:STOP in numbers or percent, for example 0:5%"
            ) from None
        return _Share(start, stop)

    def of(self, layout: Layout) -> list[range]:
        """The ranges of cohorts that the part touches.

        Raises:
            RunError: There are none.
        """
        ends = (end if isinstance(end, int) else round(end * layout.cohorts) for end in (self.start, self.stop))
        start, stop = ends
        found = [part for part in layout.ranges() if start < stop and part.start < stop and part.stop > start]
        if not found:
            raise RunError(f"got cohorts {start}:{stop}, which hold none; the scenario has 0 to {layout.cohorts}")
        return found


@dataclass(frozen=True)
class _Context:
    """How to run, as opposed to what."""

    workers: int | None
    address: str | None
    share: _Share
    resume: bool
    display: Display
    cache: Cache
    log: Sequence[str]


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
    for name, history in artifact.provenance["modules"].items():
        if artifact.modules[name].head == "residual" and history["best_step"] == 0:
            context.display.note(f"module {name} stays the backbone: on its validation images no gain above chance")
    job = _job(scenario, artifact)
    layout = layout_of(scenario, folder)
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
        adapters = build_adapters(list(scenario.adapters), job.modules, job.source).values()
        steps = steps_together(scenario, stream.lengths(np.arange(scenario.clients.count)))
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
    _write_run(
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


def _job(scenario: Scenario, artifact: CloudArtifact) -> Job:
    return Job(scenario, artifact.classes.superclass, artifact.test, artifact.modules, artifact.source, artifact.owners)


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
    modules = {adapter_name(one, variant): module_of(one) for one in job.scenario.adapters for variant in expand(one)}
    adapters = CohortSimulator(job).adapters
    final = final_tables(
        sums, adapters, modules, artifact.classes, artifact.split, artifact.backbone_macs, layout.window, layout.horizon,
        job.scenario.protocol,
    )  # fmt: skip
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
    _check_same(folder, _read_run(folder), scenario)


def _read_run(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / RUN_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ReportError(f"{folder}: holds no run that could be resumed (no readable {RUN_FILE} in it)") from error


def _check_same(folder: Path, found: Mapping[str, Any], scenario: Scenario) -> None:
    """Checks that a folder's run is this scenario's, of this version, on this platform.

    Raises:
        ReportError: It is another.
    """
    here = {
        "schema_version": schema.SCHEMA_VERSION,
        "scenario_digest": scenario.digest(),
        "platform": platform_key(),
    }
    for name, value in here.items():
        if found.get(name) != value:
            advice = "; give the same scenario and the same --set options as then" if name == "scenario_digest" else ""
            raise ReportError(
                f"{folder}: holds a run with another {name.replace('_', ' ')} ({found.get(name)}, and here {value}); "
                f"its tables would not fit together{advice}"
            )


def _write_run(folder: Path, scenario: Scenario, complete: bool, **more: Any) -> None:
    """Writes `run.json`: what is run here, and once it is complete how it went."""
    content = {
        "schema_version": schema.SCHEMA_VERSION,
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
        check_data(cell, validated, context.cache, context.display.stage)
    _claim(folder, scenario, context.resume)
    frames: dict[str, list[pd.DataFrame]] = {"sweep": [], "answers": []}
    with ray_running(context.workers, SWEEP_OBJECT_STORE_BYTES, context.address):
        for number, (chosen, _, validated) in enumerate(runs, start=1):
            title = ", ".join(f"{key}={value}" for key, value in chosen.items())
            context.display.note(f"[{number}/{len(runs)}] {title}")
            report = _cell(validated, folder / "cells" / f"{number:04d}", context)
            for name, frame in (("sweep", report.summary), ("answers", report.answers)):
                for place, (key, value) in enumerate(chosen.items()):
                    shown = json.dumps(value) if isinstance(value, dict | list) else value
                    if key in frame:  # the protocol, which summaries tell in any case
                        frame.pop(key)
                    frame.insert(place, key, [shown] * len(frame))
                frames[name].append(frame)
    for name, parts in frames.items():
        table = pa.Table.from_pandas(pd.concat(parts, ignore_index=True), preserve_index=False)
        write(folder / f"{name}.parquet", table, schema.metadata(scenario))
    _write_run(folder, scenario, complete=True, sweep=list(scenario.sweep))
    swept = load(folder)
    write_report(swept, context.cache)
    return swept


def _cell(scenario: Scenario, folder: Path, context: _Context) -> Report:
    started = (folder / RUN_FILE).is_file()
    if started:
        _claim(folder, scenario, resume=True)
        if json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["complete"]:
            return load(folder)
    return _run_one(scenario, folder, replace(context, resume=started))
