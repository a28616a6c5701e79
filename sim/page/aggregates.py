"""Sums over clients, read a file at a time: a page holds aggregates only, however many clients there are."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sim.report.load import Report

MOST_WINDOWS = 120
"""Points of a line over the stream; of a longer stream neighbouring windows are taken together."""

RESOLUTION = 1000
"""Accuracies of single clients are counted to a thousandth."""

QUANTILES = np.linspace(0, 1, 81)
WORST = 10
"""Clients that are named."""


@dataclass(frozen=True)
class Clients:
    """How clients differ.

    Args:
        quantiles: Adapter x measure (accuracy, gain) x share of clients: the value that this share of them does not exceed.
        below: Share of each adapter's clients that are less accurate than with the backbone.
        worst: The clients with the lowest accuracy of one adapter, with its gain there.
        devices: Adapter x device: clients, sums of their accuracies, of their gains and of the squares of these, and the bank
            that is fitted to the device; empty if clients have no devices.
    """

    quantiles: pd.DataFrame
    below: dict[str, float]
    worst: pd.DataFrame
    devices: pd.DataFrame


def over_stream(report: Report) -> pd.DataFrame:
    """Accuracy by adapter and window of the stream, pooled over clients."""
    parts = [
        part.group_by(["adapter", "step"]).aggregate([("images", "sum"), ("correct", "sum"), ("images", "count")])
        for part in _parts(report, "windows", ["adapter", "step", "images", "correct"])
    ]
    frame = pa.concat_tables(parts).to_pandas().groupby(["adapter", "step"], observed=True, as_index=False).sum()
    window = int(report.scenario["report"]["window"])
    together = window * -(-frame["step"].nunique() // MOST_WINDOWS)
    frame["first"] = frame["step"] // together * together
    rows = frame.groupby(["adapter", "first"], observed=True, as_index=False).agg(
        images=("images_sum", "sum"),
        correct=("correct_sum", "sum"),
        clients=("images_count", "max"),
        last=("step", "max"),
    )
    length = int(frame["step"].max()) + window
    rows["last"] = np.minimum(rows["last"] + window, max(length, 1)) - 1
    rows["step"] = (rows["first"] + rows["last"] + 1) / 2
    rows["accuracy"] = rows["correct"] / rows["images"]
    rows["adapter"] = rows["adapter"].astype(str)
    return rows[["adapter", "step", "first", "last", "clients", "images", "correct", "accuracy"]]


def drift_steps(report: Report) -> pd.DataFrame:
    """Share of the clients that drift at each step."""
    counts: dict[int, int] = defaultdict(int)
    for part in _parts(report, "drifts", ["adapter", "step"]):
        steps = part.filter(pc.equal(pc.cast(part["adapter"], pa.string()), "backbone"))["step"]
        for row in pc.value_counts(steps).to_pylist():
            counts[row["values"]] += row["counts"]
    clients = int(report.summary["clients"].iloc[0])
    steps = sorted(counts)
    return pd.DataFrame({"step": steps, "clients": [counts[step] for step in steps]}).assign(
        share=lambda frame: frame["clients"] / clients
    )


def clients(report: Report, named: str) -> Clients:
    """How clients differ.

    Args:
        report: The report.
        named: The adapter whose worst clients are wanted.
    """
    counts: dict[tuple[str, str], NDArray[np.int64]] = defaultdict(lambda: np.zeros(2 * RESOLUTION + 1, dtype=np.int64))
    below: dict[str, int] = defaultdict(int)
    all_of: dict[str, int] = defaultdict(int)
    worst, devices = [], []
    columns = ["client", "adapter", "images", "accuracy", "gain", "device", "fitted_capacity"]
    for part in _parts(report, "clients", columns):
        frame = part.to_pandas()
        devices.append(_by_device(frame))
        for name, rows in frame.groupby("adapter", observed=True):
            for measure in ("accuracy", "gain"):
                place = np.rint(rows[measure].to_numpy() * RESOLUTION).astype(np.int64) + RESOLUTION
                counts[str(name), measure] += np.bincount(place, minlength=2 * RESOLUTION + 1)
            below[str(name)] += int((rows["gain"] < 0).sum())
            all_of[str(name)] += len(rows)
        worst.append(frame[frame["adapter"] == named].nsmallest(WORST, "accuracy"))
    quantiles = pd.DataFrame(
        [
            {"adapter": name, "measure": measure, "share": share, "value": value}
            for (name, measure), number in counts.items()
            for share, value in zip(QUANTILES, _quantiles(number), strict=True)
        ]
    )
    first = pd.concat(worst, ignore_index=True).sort_values(["accuracy", "client"]).head(WORST)
    together = pd.concat(devices, ignore_index=True).groupby(["adapter", "device"], as_index=False)
    sums = dict.fromkeys(("clients", "accuracy", "gain", "gain_squared"), "sum")
    by_device = together.agg({**sums, "fitted_capacity": "first"})
    return Clients(quantiles, {name: below[name] / all_of[name] for name in all_of}, first, by_device)


def _by_device(frame: pd.DataFrame) -> pd.DataFrame:
    """Sums over the clients of each device; no rows if they have none."""
    named = frame.astype({"adapter": str, "device": object}).assign(gain_squared=frame["gain"] ** 2)
    return named.groupby(["adapter", "device"], as_index=False).agg(
        clients=("client", "size"), accuracy=("accuracy", "sum"), gain=("gain", "sum"), gain_squared=("gain_squared", "sum"),
        fitted_capacity=("fitted_capacity", "first"),
    )  # fmt: skip


def _quantiles(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    reached = np.cumsum(counts)
    wanted = np.maximum(np.ceil(QUANTILES * reached[-1]), 1)
    return (np.searchsorted(reached, wanted) - RESOLUTION) / RESOLUTION


def _parts(report: Report, table: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    for file in report.files(table):
        yield report.read(table, file, columns)
