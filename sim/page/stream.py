"""Accuracy over the stream, with the steps at which clients drift."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from sim.page import theme
from sim.page.aggregates import drift_steps, over_stream
from sim.page.parts import Chart
from sim.report.load import Report

TOGETHER = 0.2
"""Share of the clients that must drift at a step for it to get a line of its own."""

STRIP = 0.06
"""Height of the strip that shows where drifts open, as a share of the chart's."""


def stream_chart(report: Report, styles: Sequence[theme.Style]) -> Chart:
    """Accuracy by window of the stream, pooled over clients."""
    frame = over_stream(report)
    drifts = drift_steps(report)
    timed = report.scenario.get("protocol", "stream") == "stream"
    together = drifts[drifts["share"] >= TOGETHER]
    apart = drifts[drifts["share"] < TOGETHER]
    x = alt.X(
        "step:Q",
        title="step of the stream" if timed else "number of the client's image",
        axis=theme.axis("d"),
        scale=alt.Scale(nice=False, domain=[0, int(frame["last"].max()) + 1]),
    )
    tooltip = [
        alt.Tooltip("adapter:N"),
        alt.Tooltip("accuracy:Q", format=".1%"),
        alt.Tooltip("first:Q", title="from step"),
        alt.Tooltip("last:Q", title="to step"),
        alt.Tooltip("images:Q", format=","),
        alt.Tooltip("clients:Q", format=","),
    ]
    base = alt.Chart(theme.values(frame.drop(columns=["correct"]))).encode(
        x=x,
        y=alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format=".0%"), scale=alt.Scale(zero=False, padding=20)),
    )
    toggles = theme.toggles(styles)
    lines = (
        base.transform_filter(toggles)
        .mark_line()
        .encode(color=theme.colour(styles), strokeDash=theme.dash(styles), strokeWidth=theme.width())
        .add_params(toggles)
    )
    marks = (
        base.transform_filter(toggles)
        .mark_point(filled=True, size=45, opacity=1)
        .encode(color=theme.colour(styles), shape=theme.mark(styles), tooltip=tooltip)
    )
    layers = [lines, marks]
    if len(together):
        layers.insert(0, _rules(together))
    chart = alt.layer(*layers)
    if len(apart):
        chart = alt.layer(_strip(apart, frame), chart).resolve_scale(y="independent")
    marked = "Vertical lines: steps at which a fifth of the clients or more drift. " if len(together) else ""
    marked += "The strip at the bottom: how many clients drift in each window. " if len(apart) else ""
    kind = "Prequential accuracy" if timed else "This protocol has no time; the order says nothing. Accuracy"
    caption = (
        f"{kind}, pooled over clients, in windows of {_window(frame)} images. "
        f"{marked}Click on the legend to show or hide an adapter."
    )
    return Chart(
        "stream",
        "Accuracy over the stream" if timed else "Accuracy by position",
        caption,
        frame,
        theme.finished(chart, 340),
    )


def _rules(steps: pd.DataFrame) -> alt.Chart:
    """Vertical lines at drifts."""
    rules: alt.Chart = (
        alt.Chart(theme.values(steps))
        .mark_rule(color=theme.DRIFT, strokeWidth=1.5, strokeDash=[5, 3])
        .encode(
            x=alt.X("step:Q"),
            tooltip=[alt.Tooltip("step:Q", title="drift at step"), alt.Tooltip("clients:Q", format=",")],
        )
    )
    return rules


def _window(frame: pd.DataFrame) -> int:
    return int(frame["last"].iloc[0] - frame["first"].iloc[0]) + 1


def _strip(drifts: pd.DataFrame, frame: pd.DataFrame) -> alt.Chart:
    """How many clients drift in each window, as bars at the bottom."""
    width = _window(frame)
    last = int(frame["last"].max()) + 1
    bars = (
        drifts.assign(first=drifts["step"] // width * width)[["first", "clients"]]
        .groupby("first", as_index=False)
        .sum()
    )
    bars["stop"] = (bars["first"] + width).clip(upper=last)
    strip: alt.Chart = (
        alt.Chart(theme.values(bars))
        .mark_rect(color=theme.DRIFT, opacity=0.35)
        .encode(
            x=alt.X("first:Q"),
            x2=alt.X2("stop:Q"),
            y=alt.Y("clients:Q", axis=None, scale=alt.Scale(domain=[0, float(bars["clients"].max()) / STRIP])),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("clients:Q", title="clients that drift", format=","),
                alt.Tooltip("first:Q", title="from step"),
                alt.Tooltip("stop:Q", title="to before step"),
            ],
        )
    )
    return strip
