"""A sweep: a run for every combination, each with a report of its own."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from sim.addresses import Location
from sim.engine.collector import write
from sim.engine.context import Context
from sim.engine.feasibility import check_data
from sim.engine.folder import claim, write_run
from sim.engine.parts import metadata_of
from sim.engine.single import run_one
from sim.engine.workers import ray_running
from sim.page import write_report
from sim.report.load import RUN_FILE, Report, load
from sim.scenario.file import Document, cells
from sim.scenario.scenario import Scenario
from sim.scenario.validation import validate

SWEEP_OBJECT_STORE_BYTES = 2 * 1024**3


def run_sweep(document: Document, scenario: Scenario, folder: Location, context: Context) -> Report:
    """Runs every cell of a sweep, each with a report of its own inside; finished cells are not run again."""
    runs = [(chosen, cell, validate(cell)) for chosen, cell in cells(document)]
    for _, cell, validated in runs:
        check_data(cell, validated, context.cache, context.display.stage)
    claim(folder, scenario, context.resume)
    frames: dict[str, list[pd.DataFrame]] = {"sweep": [], "answers": []}
    shown = {key: as_column([chosen[key] for chosen, *_ in runs]) for key in scenario.sweep}
    with ray_running(context.workers, SWEEP_OBJECT_STORE_BYTES, context.address):
        for number, (chosen, _, validated) in enumerate(runs, start=1):
            title = ", ".join(f"{key}={value}" for key, value in chosen.items())
            context.display.note(f"[{number}/{len(runs)}] {title}")
            report = _cell(validated, folder / "cells" / f"{number:04d}", context)
            for name, frame in (("sweep", report.summary), ("answers", report.answers)):
                for place, key in enumerate(chosen):
                    if key in frame:  # the protocol, which summaries tell in any case
                        frame.pop(key)
                    frame.insert(place, key, [shown[key][number - 1]] * len(frame))
                frames[name].append(frame)
    for name, parts in frames.items():
        table = pa.Table.from_pandas(pd.concat(parts, ignore_index=True), preserve_index=False)
        write(folder / f"{name}.parquet", table, metadata_of(scenario))
    write_run(folder, scenario, complete=True, sweep=list(scenario.sweep))
    swept = load(folder)
    write_report(swept, context.cache)
    return swept


def as_column(values: Sequence[Any]) -> list[Any]:
    """What a key was set to in each run, as a table's column has it, which is of one kind: settings with keys of their own as JSON,
    and text for all where some are text (`superclass` beside numbers of classes)."""
    plain = [json.dumps(value) if isinstance(value, dict | list) else value for value in values]
    if any(isinstance(value, str) for value in plain):
        return [value if isinstance(value, str | None) else json.dumps(value) for value in plain]
    return plain


def _cell(scenario: Scenario, folder: Location, context: Context) -> Report:
    started = (folder / RUN_FILE).is_file()
    if started:
        claim(folder, scenario, resume=True)
        if json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["complete"]:
            return load(folder)
    return run_one(scenario, folder, replace(context, resume=started))
