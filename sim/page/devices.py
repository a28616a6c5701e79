"""Accuracy by the class of devices that clients have."""

from typing import Any

import pandas as pd

from sim.page.aggregates import Clients
from sim.page.parts import Table, interval, percent, points
from sim.report.intervals import t_interval
from sim.report.load import Report


def devices_table(report: Report, found: Clients) -> Table | None:
    """Mean accuracy of the clients of each device, and their gain over the backbone; None if clients have no devices."""
    frame = found.devices.set_index(["adapter", "device"])
    if frame.empty:
        return None
    devices = [name for name in report.scenario["clients"]["devices"] if name in set(found.devices["device"])]
    rows, first = [], str(report.summary["adapter"].iloc[0])
    for adapter in report.summary["adapter"]:
        cells = [_cell(str(adapter), frame.loc[(str(adapter), device)]) for device in devices]
        rows.append([str(adapter), *cells])
    header = ["adapter", *(f"{name}, {frame.loc[(first, name), 'clients']:,} clients" for name in devices)]
    note = (
        "Means over clients: accuracy, and gain over the backbone in points with its 95 % t-interval. Where a bank is fitted to "
        "devices, its capacity is the largest for which weights and one bank fit the device, by its profile (docs/device.md)."
    )
    return Table("Accuracy by device", header, rows, note)


def _cell(adapter: str, row: "pd.Series[Any]") -> str:
    count = float(row["clients"])
    if adapter == "backbone":
        return percent(row["accuracy"] / count)
    low, high = t_interval(count, float(row["gain"]), float(row["gain_squared"]))
    text = f"{percent(row['accuracy'] / count)}, {points(row['gain'] / count)} {interval(low, high)}".rstrip()
    fitted = row["fitted_capacity"]
    if pd.isna(fitted):
        return text
    return f"{text}, bank {fitted:.0f}" if fitted else f"{text}, none fits"
