"""Runs beside each other: differences in accuracy, paired by client where clients have the same streams."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.table import Table as RichTable

from sim.addresses import Address
from sim.errors import ReportError
from sim.report.intervals import t_interval, welch_interval
from sim.report.load import Report, in_points, interval_in_points, load

Values = NDArray[np.float64]

NOT_OF_STREAMS = {"cohort", "chunk", "corruption"}
"""Settings of clients that do not decide which images they see, and when."""


@dataclass(frozen=True)
class Comparison:
    """What several runs have in common and where they differ.

    Args:
        reports: The runs; all are compared with the first.
        paired: Whether differences are of the same clients on the same streams.
        table: A row for each adapter that the first run and another have, and that other run: `adapter`, `run` (the other's
            folder), `clients` (paired, or of the smaller run), `accuracy_first` and `accuracy` (means over these clients),
            `difference` of the two, `difference_ci_low` and `difference_ci_high` (95 % t-interval over clients, Welch's if not
            paired), and `clients_better`, `clients_equal`, `clients_worse` (null if not paired).
        settings: Keys of the scenarios whose values differ, a column for each run.
        missing: Adapters that not all runs have, with the folders that do.
        protocols: By which each run predicted its images.
    """

    reports: Sequence[Report]
    paired: bool
    table: pd.DataFrame
    settings: pd.DataFrame
    missing: Mapping[str, Sequence[str]]
    protocols: Sequence[str]


def compare(*folders: str | Path | Address, unpaired: bool = False) -> Comparison:
    """Compares runs with the first of them.

    Args:
        folders: Two or more reports, here or at addresses, each of a single run.
        unpaired: Whether runs on different streams may be compared: by their means over clients, which are then different clients.

    Raises:
        ReportError: A folder is no report of a single run, streams differ though `unpaired` is not set, or no adapter is in two
            runs.
    """
    if len(folders) < 2:
        raise ReportError("got one folder; expected two or more")
    reports = [load(folder) for folder in folders]
    for report in reports:
        if report.run.get("sweep"):
            cells = report.folder / "cells"
            raise ReportError(
                f"{report.folder}: is a sweep; compare its runs, such as {cells / '0001'} and {cells / '0002'}"
            )
    same = True
    for other in reports[1:]:
        different = list(_differences(_streams(reports[0]), _streams(other)))
        if different and not unpaired:
            named = "; ".join(f"{key}: {one!r} and {two!r}" for key, one, two in different[:4])
            raise ReportError(
                f"{other.folder}: its streams are not those of {reports[0].folder} ({named}), so its clients cannot be paired with "
                "theirs; to compare means over different clients give --unpaired"
            )
        same = same and not different
    rows = [
        _row(name, report, *_accuracies(reports[0], report, name, same), same)
        for report in reports[1:]
        for name in reports[0].summary["adapter"]
        if name in set(report.summary["adapter"])
    ]
    if not rows:
        raise ReportError("the runs have no adapter of the same name; name them alike in their scenarios")
    protocols = [str(report.scenario.get("protocol", "stream")) for report in reports]
    return Comparison(reports, same, pd.DataFrame(rows), _settings(reports), _missing(reports), protocols)


def _streams(report: Report) -> dict[str, Any]:
    """What decides a run's streams, flat."""
    scenario = report.scenario
    left_out = NOT_OF_STREAMS | ({"count"} if scenario["clients"].get("source", "drawn") == "drawn" else set())
    clients = {key: value for key, value in scenario["clients"].items() if key not in left_out}
    data = report.run.get("provenance", {}).get("data", scenario["data"])
    return dict(_flat({"seed": scenario["seed"], "data": data, "clients": clients}))


def _flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


def _differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys([*one, *two]):
        if one.get(key) != two.get(key):
            yield key, one.get(key), two.get(key)


def _accuracies(first: Report, other: Report, adapter: str, paired: bool) -> tuple[Values, Values]:
    """Accuracies of clients in the two runs; of the same clients in the same order if paired."""
    one, two = (_of_clients(report, adapter) for report in (first, other))
    if paired:
        both = one.index.intersection(two.index)
        one, two = one[both], two[both]
    return np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)


def _of_clients(report: Report, adapter: str) -> "pd.Series[float]":
    parts = []
    for file in report.files("clients"):
        part = report.read("clients", file, ["client", "adapter", "accuracy"])
        parts.append(
            part.filter(pc.equal(pc.cast(part["adapter"], pa.string()), adapter)).select(["client", "accuracy"])
        )
    accuracy: pd.Series[float] = pa.concat_tables(parts).to_pandas().set_index("client")["accuracy"]
    return accuracy.sort_index()


def _row(adapter: str, other: Report, one: Values, two: Values, paired: bool) -> dict[str, object]:
    difference = two - one if paired else None
    low, high = (
        t_interval(len(difference), float(difference.sum()), float((difference**2).sum()))
        if difference is not None
        else welch_interval(one, two)
    )
    return {
        "adapter": adapter,
        "run": str(other.folder),
        "clients": min(len(one), len(two)),
        "accuracy_first": float(one.mean()),
        "accuracy": float(two.mean()),
        "difference": float(two.mean() - one.mean()),
        "difference_ci_low": low,
        "difference_ci_high": high,
        "clients_better": None if difference is None else int((difference > 0).sum()),
        "clients_equal": None if difference is None else int((difference == 0).sum()),
        "clients_worse": None if difference is None else int((difference < 0).sum()),
    }


def _settings(reports: Sequence[Report]) -> pd.DataFrame:
    """Settings that differ."""
    flat = [dict(_flat(report.scenario)) for report in reports]
    rows = [
        {
            "setting": key,
            **{str(report.folder): str(one.get(key, "–")) for report, one in zip(reports, flat, strict=True)},
        }
        for key in dict.fromkeys(key for one in flat for key in one)
        if key != "name" and len({str(one.get(key, "–")) for one in flat}) > 1
    ]
    return pd.DataFrame(rows, columns=["setting", *(str(report.folder) for report in reports)])


def _missing(reports: Sequence[Report]) -> dict[str, list[str]]:
    having: dict[str, list[str]] = {}
    for report in reports:
        for name in report.summary["adapter"]:
            having.setdefault(str(name), []).append(str(report.folder))
    return {name: folders for name, folders in having.items() if len(folders) < len(reports)}


def rendered_comparison(found: Comparison) -> RichTable:
    """The comparison as a table for people."""
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    by_run = {str(one.folder): protocol for one, protocol in zip(found.reports, found.protocols, strict=True)}
    told = set(found.protocols) != {"stream"}
    for name in ("run", *(["protocol", "first protocol"] if told else []), "adapter"):
        table.add_column(name, no_wrap=True)
    for name in ("clients", "first %", "this %", "difference, points [95 % CI]", "better/equal/worse"):
        table.add_column(name, justify="right")
    for row in found.table.to_dict("records"):
        counts = "-"
        if found.paired:
            counts = f"{row['clients_better']}/{row['clients_equal']}/{row['clients_worse']}"
        table.add_row(
            row["run"],
            *([by_run[row["run"]], found.protocols[0]] if told else []),
            row["adapter"],
            f"{row['clients']:,}",
            in_points(row["accuracy_first"]),
            in_points(row["accuracy"]),
            f"{in_points(row['difference'], '+')} {interval_in_points(row, 'difference', '+')}",
            counts,
        )
    return table
