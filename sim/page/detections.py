"""How well adapters detect drifts, beside controls that look at nothing."""

from typing import Any

import pandas as pd

from sim.page.parts import Table, percent, rows_of, whole
from sim.report.load import Report


def detections_table(report: Report) -> Table | None:
    """Recall, delay and false alarms of every detector; None if no adapter detects."""
    frame = report.detections
    if frame.empty:
        return None
    rows = [
        [
            _called(row),
            percent(row.recall),
            percent(row.delay),
            number(row.false_alarms_per_1000),
            whole(row.alarms),
        ]
        for row in rows_of(frame)
    ]
    return Table(
        "Detected drifts",
        ["detector", "recall", "delay", "false alarms in 1,000 images", "alarms"],
        rows,
        f"Of {whole(frame['drifts'].iloc[0])} drifts. The first alarm within the horizon detects a drift, all others are "
        "false. The delay is a share of the way to the next drift, mean over detected ones. At random: alarms as frequent as "
        "the adapter's, that look at nothing.",
    )


def _called(row: Any) -> str:
    """A detector's name."""
    if row.detector == "itself":
        return str(row.adapter)
    return f"{row.adapter}, at random" if row.detector == "random" else str(row.detector)


def number(value: float | None) -> str:
    """One decimal, or a dash."""
    return "–" if value is None or pd.isna(value) else f"{value:,.1f}"
