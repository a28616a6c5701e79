"""The runs in a folder, whatever has become of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table as RichTable

from sim.addresses import Location
from sim.errors import ReportError
from sim.files import DISK
from sim.outputs import RUN_FILE, reading
from sim.report.best import best_row
from sim.report.load import Report, in_points, interval_in_points

COMMITTED = re.compile(r"cohorts-(\d+)-(\d+)\.parquet")
"""A file of `clients`, the last of a range of cohorts to be written."""


@dataclass(frozen=True)
class Listed:
    """A run, as a list tells of it.

    Args:
        folder: Its folder.
        written: When its `run.json` was written, ISO 8601 in UTC; empty if that is unknown.
        scenario: The scenario's name; empty if that is unknown.
        state: `finished`, of a sweep with the number of runs; how far it is; or what is wrong with it.
        adapter: The adapter with the largest gain of those that see images alone; empty without one.
        gain: Its gain over the backbone, a fraction; None without one.
        gain_ci_low: Lower end of its 95 % interval; None if it is not known.
        gain_ci_high: Upper end.
    """

    folder: Location
    written: str
    scenario: str
    state: str
    adapter: str = ""
    gain: float | None = None
    gain_ci_low: float | None = None
    gain_ci_high: float | None = None


def list_runs(folder: Location) -> list[Listed]:
    """All runs in a folder and in those inside it, the latest first. The runs of a sweep stand for one.

    Raises:
        ReportError: There is no such folder.
    """
    with reading(folder):
        if not folder.is_dir():
            raise ReportError(f"{folder}: no such folder; give one that holds runs, such as reports")
    return sorted((_listed(one) for one in _runs(folder)), key=lambda one: (one.written, str(one.folder)), reverse=True)


def _runs(folder: Location) -> Iterator[Location]:
    """Folders with a run in them; inside of one there is no other."""
    try:
        there, inside = DISK.names(folder), DISK.folders(folder)
    except OSError:  # nobody may look into it
        return
    if RUN_FILE in there:
        yield folder
        return
    for name in inside:
        if not name.startswith("."):
            yield from _runs(folder / name)


def _listed(folder: Location) -> Listed:
    try:
        run = dict(json.loads((folder / RUN_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        return Listed(folder, "", "", f"broken: {RUN_FILE} cannot be read ({_first_line(error)})")
    written, name = str(run.get("written", "")), str(run.get("name", ""))
    try:
        if not run.get("complete"):
            return Listed(folder, written, name, _progress(folder, run))
        state, found = _finished(folder)
    except Exception as error:  # of a broken report anything may be raised
        return Listed(folder, written, name, f"broken: {_first_line(error)}")
    if found is None:
        return Listed(folder, written, name, state)
    numbers = (float(found[column]) for column in ("gain", "gain_ci_low", "gain_ci_high"))
    gain, low, high = (None if number != number else number for number in numbers)
    return Listed(folder, written, name, state, str(found["adapter"]), gain, low, high)


def _finished(folder: Location) -> tuple[str, dict[str, Any] | None]:
    """The state of a finished run, and the row of its best adapter."""
    report = Report(folder)
    if report.run.get("sweep"):
        frame = report.sweep
        return f"finished, {len(frame) // frame['adapter'].nunique()} runs", best_row(frame)
    done, cohorts = report.run.get("cohorts_done"), report.run.get("cohorts")
    return "finished" if done == cohorts else f"finished in part, {done} of {cohorts} cohorts", best_row(report.summary)


def _progress(folder: Location, run: dict[str, Any]) -> str:
    """How far an unfinished run is: nobody can tell whether somebody is still at it."""
    if run["scenario"].get("sweep"):
        cells = folder / "cells"
        files = [cells / name / RUN_FILE for name in DISK.folders(cells)]
        there = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
        done = sum(bool(one.get("complete")) for one in there)
        return f"unfinished, {done} runs of a sweep are finished"
    clients = run["scenario"]["clients"]
    done = sum(map(len, committed(folder)))
    return f"unfinished, {done} of {-(-clients['count'] // clients['cohort'])} cohorts"


def committed(folder: Location) -> list[range]:
    """The ranges of cohorts that a run has committed, in order."""
    ends = [COMMITTED.fullmatch(name) for name in DISK.names(folder / "clients")]
    return [range(int(found[1]), int(found[2]) + 1) for found in ends if found]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def rendered_runs(runs: list[Listed], folder: Location) -> RichTable:
    """The runs as a table for people: gains in points, folders from the one that was asked for."""
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "date", "scenario", "best adapter"):
        table.add_column(name, no_wrap=True)
    table.add_column("gain, points [95 % CI]", justify="right", no_wrap=True)
    table.add_column("state")
    for one in runs:
        gain = "" if one.gain is None else f"{in_points(one.gain, '+')} {interval_in_points(vars(one), 'gain', '+')}"
        table.add_row(
            _way(one.folder, folder), one.written[:16].replace("T", " "), one.scenario, one.adapter, gain, one.state
        )
    return table


def _way(place: Location, folder: Location) -> str:
    """From a folder to a place in it; of the folder itself its name."""
    names = []
    while place != folder:
        names.append(place.name)
        place = place.parent
    return "/".join(reversed(names)) or place.name
