"""What the streams really were."""

import altair as alt
import pandas as pd

from sim.page import theme
from sim.page.parts import Chart, Table, percent, rows_of
from sim.report.load import Report

MOST_CLASSES = 500


def audit_chart(report: Report) -> Chart | None:
    """Class shares planned and drawn; None if nothing was planned."""
    shares = report.audit[report.audit["measure"] == "class_share"]
    shares = shares[(shares["planned"] > 0) | (shares["drawn"] > 0)]
    if shares.empty:
        return None
    frame = shares.sort_values(["planned", "name"], ascending=[False, True], ignore_index=True)[
        ["name", "planned", "drawn"]
    ]
    frame.insert(0, "rank", range(1, len(frame) + 1))
    label = report.label_words[0]
    every = -(-len(frame) // MOST_CLASSES)
    drawn = frame.iloc[::every]
    x = alt.X("rank:Q", title=f"{label}, by its planned share", axis=theme.axis("d"), scale=alt.Scale(nice=False))
    title = "share of all images" if label == "class" else "share of all attributes that are there"
    y = alt.Y("drawn:Q", title=title, axis=alt.Axis(format="~%"))
    base = alt.Chart(theme.values(drawn)).encode(x=x)
    tooltip = [alt.Tooltip("name:N"), alt.Tooltip("planned:Q", format=".3%"), alt.Tooltip("drawn:Q", format=".3%")]
    marks = base.mark_point(filled=True, size=26, opacity=0.8, color=theme.HUES[0][0][1]).encode(y=y, tooltip=tooltip)
    line = base.mark_line(color=theme.HUES[1][0][1], strokeWidth=2.5, interpolate="step").encode(
        y=alt.Y("planned:Q", title=title)
    )
    some = f" Every {every}th {label}." if every > 1 else ""
    met = "images" if label == "class" else "attributes"
    caption = f"Points: the share of the {met} that clients really met. Line: what was planned.{some}"
    return Chart(
        "audit",
        f"{label.capitalize()} shares, planned and drawn",
        caption,
        frame,
        theme.finished(alt.layer(marks, line), 300),
        half=True,
    )


def audit_table(report: Report) -> Table:
    """Drifts, repeats, runs, and the split of the images."""
    audit = report.audit
    shares = audit[audit["measure"] == "class_share"]
    label, labels = report.label_words
    rows = []
    for row in rows_of(audit[audit["measure"] != "class_share"]):
        name = f"{str(row.measure).replace('_', ' ')} {row.name}".strip()
        rows.append([name, _number(row.planned), _number(row.drawn)])
    off = (shares["drawn"] - shares["planned"]).abs()
    if off.notna().any():
        far = shares.iloc[int(off.to_numpy().argmax())]
        rows.append([f"{labels} met", str(int((shares["planned"] > 0).sum())), str(int((shares["drawn"] > 0).sum()))])
        rows.append([f"{label} share farthest off ({far['name']})", _percent(far["planned"]), _percent(far["drawn"])])
    return Table("Audit of the streams", ["measure", "planned", "drawn"], rows, half=True)


def _number(value: float | None) -> str:
    if value is None or pd.isna(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"


def _percent(value: float) -> str:
    return percent(value) if pd.isna(value) else f"{100 * value:.2f} %"
