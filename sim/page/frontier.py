"""The frontier: accuracy against what an adapter costs on the device."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from sim.page import theme
from sim.page.headline import knowing
from sim.page.parts import Chart, rows_of
from sim.report.load import Report

COSTS = {
    "state_bytes": ("bytes", "Accuracy against memory", "state of one client at a full bank, bytes", "on_bytes_frontier"),
    "macs_per_image": ("macs", "Accuracy against computation", "MACs for one image at a full bank", "on_macs_frontier"),
}  # fmt: skip
"""Of each cost: the chart's name, title, axis and the column of `answers` that says what is on the frontier."""

NEAR = (0.16, 0.05)
"""Names would overlap if they were closer than this, in shares of the chart's width and height."""


BESIDE = 0.25
"""In this share of the width from the left, names stand to the right of their marks: to the left they would cross the axis."""


def frontier_charts(report: Report, styles: Sequence[theme.Style]) -> list[Chart]:
    """Accuracy against bytes and against MACs, of adapters that see images alone."""
    return [chart for cost in COSTS if (chart := _chart(report, styles, cost)) is not None]


def _chart(report: Report, styles: Sequence[theme.Style], cost: str) -> Chart | None:
    name, title, axis, column = COSTS[cost]
    frame = report.answers
    frame = frame[(frame["sees"] == "images") & frame[cost].notna() & frame["accuracy"].notna()]
    if frame[cost].nunique() < 2:
        return None
    told = knowing(frame)
    frame = frame[["adapter", "knows", "accuracy", "gain", cost, column]].rename(
        columns={cost: "cost", column: "on_frontier"}
    )
    frame["on_frontier"] = frame["on_frontier"].eq(True)
    present = [style for style in styles if style.adapter in set(frame["adapter"])]
    x, frame = _placed(frame, axis)
    y = alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format=".0%"), scale=alt.Scale(zero=False, padding=14))
    base = alt.Chart(theme.values(frame)).encode(x=x, y=y)
    line = (
        base.transform_filter("datum.on_frontier")
        .mark_line(interpolate="step-after", color=theme.MUTED, strokeWidth=1.5, strokeDash=[3, 2])
        .encode(order=alt.Order("place:Q"))
    )
    marks = base.mark_point(filled=True, opacity=1).encode(
        color=theme.colour(present, None),
        shape=theme.mark(present, None),
        size=alt.condition("datum.on_frontier", alt.value(110), alt.value(50)),
        tooltip=[
            alt.Tooltip("adapter:N"),
            alt.Tooltip("knows:N"),
            alt.Tooltip("accuracy:Q", format=".1%"),
            alt.Tooltip("gain:Q", title="gain", format="+.1%"),
            alt.Tooltip("cost:Q", title=name if name == "bytes" else "MACs an image", format=","),
            alt.Tooltip("on_frontier:N", title="on the frontier"),
        ],
    )
    inside = _log_share(frame["place"], BESIDE)
    names = (
        base.transform_filter(alt.FieldOneOfPredicate("adapter", _named(frame)))
        .mark_text(
            align=alt.ExprRef(expr=f"datum.place <= {inside} ? 'left' : 'right'"),
            dx=alt.ExprRef(expr=f"datum.place <= {inside} ? 6 : -6"),
            dy=-5,
            baseline="bottom",
            color=theme.INK,
            fontSize=11,
        )
        .encode(text=alt.Text("adapter:N"))
    )
    caption = (
        "Large marks and the dashed line: the frontier, adapters that no other beats at the same cost or less. Hover for names. "
        f"Only adapters that see images alone; the scale is logarithmic, with 0 beside it. {told}".rstrip()
    )
    return Chart(
        f"frontier_{name}",
        title,
        caption,
        frame.drop(columns="place").rename(columns={"cost": cost}),
        theme.finished(alt.layer(line, marks, names), 320),
        half=True,
    )


def _placed(frame: pd.DataFrame, title: str) -> tuple[alt.X, pd.DataFrame]:
    """A logarithmic axis with what costs nothing at its left end, and the frame with the place of each adapter on it."""
    positive = frame.loc[frame["cost"] > 0, "cost"]
    low, high = float(positive.min()), float(positive.max())
    free = low / max(high / low, 2.0) ** 0.15
    ticks = [free] if (frame["cost"] == 0).any() else []
    steps = [factor * 10.0**power for power in range(0, 16) for factor in ((1,) if high > 30 * low else (1, 2, 3, 5))]
    ticks += [step for step in steps if low * 0.9 <= step <= high * 1.3]
    x = alt.X(
        "place:Q",
        title=title,
        scale=alt.Scale(type="log", domain=[free, high * 1.1], nice=False),
        axis=alt.Axis(values=ticks, labelExpr=f"datum.value <= {free * 1.001} ? '0' : format(datum.value, '~s')"),
    )
    return x, frame.assign(place=frame["cost"].clip(lower=free))


def _log_share(places: pd.Series, share: float) -> float:
    """The place that is this share of the way along a logarithmic axis."""
    low, high = float(places.min()), float(places.max())
    return float(low * (high / low) ** share)


def _named(frame: pd.DataFrame) -> list[str]:
    """Adapters of the frontier that are named: the most accurate first, and none whose name would lie on another."""
    wide, high = (float(np.ptp(values)) or 1.0 for values in (np.log(frame["place"]), frame["accuracy"]))
    named: list[tuple[str, float, float]] = []
    for row in rows_of(frame[frame["on_frontier"]].sort_values("accuracy", ascending=False)):
        x, y = float(np.log(row.place)) / wide, float(row.accuracy) / high
        if all(abs(x - other[1]) > NEAR[0] or abs(y - other[2]) > NEAR[1] for other in named):
            named.append((str(row.adapter), x, y))
    return [name for name, _, _ in named]
