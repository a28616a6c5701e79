"""What a drift does: accuracy aligned on it, drop and recovery."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from sim.page import theme
from sim.page.parts import Chart, Table, percent, points, rows_of, whole
from sim.report.load import Report

MOST_OFFSETS = 40
"""Points of an aligned curve; neighbouring offsets are taken together, never across the drift."""


def recovery_chart(report: Report, styles: Sequence[theme.Style]) -> Chart | None:
    """Accuracy by images since a drift, pooled over clients and drifts; None without drifts."""
    aligned = report.aligned
    if aligned.empty:
        return None
    together = max(1, -(-aligned["offset"].nunique() // MOST_OFFSETS))
    frame = aligned.assign(first=aligned["offset"] // together * together)
    frame = frame.groupby(["adapter", "first"], as_index=False).agg(
        images=("images", "sum"), correct=("correct", "sum")
    )
    frame["offset"] = frame["first"] + together / 2
    frame["accuracy"] = frame["correct"] / frame["images"]
    toggles = theme.toggles(styles)
    base = (
        alt.Chart(theme.values(frame.drop(columns=["correct"])))
        .transform_filter(toggles)
        .encode(
            x=alt.X(
                "offset:Q",
                title="images since the drift",
                axis=theme.axis("d"),
                scale=alt.Scale(nice=False, domain=[int(aligned["offset"].min()), int(aligned["offset"].max()) + 1]),
            ),
            y=alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format=".0%"), scale=alt.Scale(zero=False)),
            color=theme.colour(styles),
        )
    )
    lines = base.mark_line().encode(strokeDash=theme.dash(styles), strokeWidth=theme.width()).add_params(toggles)
    tooltip = [
        alt.Tooltip("adapter:N"),
        alt.Tooltip("accuracy:Q", format=".1%"),
        alt.Tooltip("first:Q", title="from image"),
        alt.Tooltip("images:Q", format=","),
    ]
    marks = base.mark_point(filled=True, size=30, opacity=1).encode(shape=theme.mark(styles), tooltip=tooltip)
    drift = alt.Chart(theme.values(pd.DataFrame({"offset": [0]}))).mark_rule(
        color=theme.DRIFT, strokeWidth=1.5, strokeDash=[5, 3]
    )
    chart = alt.layer(drift.encode(x=alt.X("offset:Q")), lines, marks)
    each = "1 image" if together == 1 else f"{together} images"
    caption = (
        f"Aligned on the drifts and pooled over clients; each drift counts until the next one. A point is {each} of each drift, "
        "the dashed line the drift."
    )
    order = ["adapter", "offset", "first", "images", "correct", "accuracy"]
    return Chart("recovery", "Before and after a drift", caption, frame[order], theme.finished(chart, 340))


def recovery_table(report: Report) -> Table | None:
    """Drop and recovery of each adapter; None without drifts."""
    metrics = report.drift_metrics
    at_drifts = metrics[metrics["point"] == "drift"]
    if at_drifts.empty or not at_drifts["points"].any():
        return None
    placebo = metrics[metrics["point"] == "placebo"].set_index("adapter")
    compared = bool(placebo["client_points"].any()) if len(placebo) else False
    rows = []
    for row in rows_of(at_drifts):
        cells = [str(row.adapter), percent(row.accuracy_before), percent(row.accuracy_lowest), points(row.drop, "")]
        cells.append(recovery_text(row.recovery, row.drop))
        if compared:
            cells += [points(row.client_drop, ""), points(placebo["client_drop"].get(row.adapter), "")]
        rows.append(cells)
    settings = report.scenario["report"]
    first = at_drifts.iloc[0]
    window, horizon = settings["window"], settings["horizon"]
    note = (
        f"Drop: accuracy of the {window} images before, less the lowest window of {window} within {horizon} images after. "
        "Recovery: images from the drift to the first window back at 90 % of the level before; 0 if none falls below. On the "
        f"pooled curve of {whole(first.points)} drifts, of which {whole(first.censored)} are cut off by the next drift or the "
        "stream's end inside the horizon."
    )
    header = ["adapter", "before", "lowest after", "drop, points", "recovery, images"]
    if compared:
        header += ["drop of single clients", "the same where nothing drifts"]
        note += " The drop of a single client is mostly the noise of a minimum, so it stands beside its placebo."
    return Table("Drop and recovery", header, rows, note, half=True)


def recovery_text(recovery: float | None, drop: float | None) -> str:
    """Images until accuracy is back, or that it is not within the horizon."""
    if recovery is not None and not pd.isna(recovery):
        return whole(recovery)
    return "–" if drop is None or pd.isna(drop) else "not within"
