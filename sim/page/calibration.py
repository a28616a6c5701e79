"""How far confidence can be believed."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from sim.page import theme
from sim.page.parts import Chart, Table, percent, rows_of
from sim.report.load import Report

METRICS = {
    "top5_accuracy": ("top-5 accuracy", percent),
    "macro_accuracy": ("mean over {}", percent),
    "kappa_temporal": ("kappa-temporal", lambda value: _decimals(value)),
    "nll": ("NLL, nats", lambda value: _decimals(value)),
    "ece": ("calibration error (ECE)", percent),
}
"""Further columns of the summary: how each is called, with {} for what images are labelled with, and written."""


def metrics_table(report: Report) -> Table:
    """What else the summary says of each adapter's predictions."""
    there = [name for name in METRICS if name in report.summary and report.summary[name].notna().any()]
    heads = [METRICS[name][0].format(report.label_words[1]) for name in there]
    rows = [
        [str(row.adapter), *(METRICS[name][1](getattr(row, name)) for name in there)] for row in rows_of(report.summary)
    ]
    note = "A dash: the adapter's scores do not tell it."
    return Table("Metrics", ["adapter", *heads], rows, note, half=True)


def _decimals(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"


def calibration_chart(report: Report, styles: Sequence[theme.Style]) -> Chart | None:
    """Accuracy by confidence; None if no adapter gives confidences."""
    frame = report.calibration
    frame = frame[(frame["images"] > 0) & frame["confidence"].notna()]
    if frame.empty:
        return None
    frame = frame[["adapter", "confidence_low", "confidence_high", "images", "confidence", "accuracy"]]
    toggles = theme.toggles(styles)
    base = (
        alt.Chart(theme.values(frame))
        .transform_filter(toggles)
        .encode(
            x=alt.X("confidence:Q", title="mean confidence", axis=theme.axis(".0%"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])),
            color=theme.colour(styles),
        )
    )
    lines = base.mark_line().encode(strokeDash=theme.dash(styles), strokeWidth=theme.width()).add_params(toggles)
    tooltip = [
        alt.Tooltip("adapter:N"),
        alt.Tooltip("confidence:Q", format=".1%"),
        alt.Tooltip("accuracy:Q", format=".1%"),
        alt.Tooltip("images:Q", format=","),
    ]
    marks = base.mark_point(filled=True, size=40, opacity=1).encode(shape=theme.mark(styles), tooltip=tooltip)
    ends = theme.values(pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]}))
    ideal = (
        alt.Chart(ends)
        .mark_line(color=theme.MUTED, strokeDash=[2, 2])
        .encode(x=alt.X("confidence:Q"), y=alt.Y("accuracy:Q"))
    )
    caption = "On the dotted line confidence is the share of right predictions; below it an adapter is too sure."
    return Chart(
        "calibration", "Calibration", caption, frame, theme.finished(alt.layer(ideal, lines, marks), 300), half=True
    )
