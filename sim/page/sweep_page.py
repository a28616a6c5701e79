"""The page of a sweep: all its runs side by side."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from sim.page import theme
from sim.page.parts import Chart, Links, Page, Section, Table, interval, percent, points, size, whole
from sim.page.provenance import facts_table, reproduce
from sim.report.load import Report


def sweep_page(report: Report) -> tuple[Page, list[theme.Style]]:
    """The page of a sweep, and the styles of its adapters.

    Args:
        report: Of a sweep.
    """
    swept = [str(key) for key in report.run["sweep"]]
    frame = report.sweep
    frame = frame.assign(run=[_title(row, swept) for row in frame[swept].to_dict("records")])
    runs = list(dict.fromkeys(frame["run"]))
    answers = report.answers.assign(run=frame["run"].to_numpy())
    looks = theme.styles(answers[answers["run"] == runs[0]])
    links = Links([(f"cells/{number:04d}/report.html", run) for number, run in enumerate(runs, start=1)])
    rows = [
        [
            row["run"], row["adapter"], percent(row["accuracy"]),
            f"{points(row['gain'])} {interval(row['gain_ci_low'], row['gain_ci_high'])}",
            points(drop, ""), whole(row["macs_per_image"]), size(row["state_bytes"]),
        ]
        for row, drop in zip(frame.to_dict("records"), answers["drop"], strict=True)
    ]  # fmt: skip
    header = ["run", "adapter", "accuracy", "gain, points [95 %]", "drop, points", "MACs an image", "state"]
    sections = [
        Section("runs", "The runs", ["Each has a page of its own."], [links]),
        Section("gains", "Gains", [], [_chart(frame, looks), Table("All runs and adapters", header, rows)]),
        Section("provenance", "Provenance", [], [*reproduce(report), facts_table(report)]),
    ]
    lead = f"{len(runs)} runs of {len(looks)} adapters, over {', '.join(swept)}."
    return Page(str(report.run["name"]), lead, sections), looks


def _title(row: Mapping[Any, Any], swept: list[str]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {row[key]}" for key in swept)


def _chart(frame: pd.DataFrame, looks: list[theme.Style]) -> Chart:
    """Gain by run and adapter."""
    data = frame[["run", "adapter", "accuracy", "gain", "gain_ci_low", "gain_ci_high"]].copy()
    for column in ("gain", "gain_ci_low", "gain_ci_high"):
        data[column] = data[column].astype(float) * 100
    data = data.rename(
        columns={name: name.replace("gain", "gain_points") for name in data.columns if name.startswith("gain")}
    )
    toggles = theme.toggles(looks)
    shown = [look.adapter for look in looks]
    y = alt.Y("run:N", title=None, sort=None, axis=alt.Axis(labelLimit=160))
    offset = alt.YOffset("adapter:N", sort=shown)
    base = (
        alt.Chart(theme.values(data)).transform_filter(toggles).encode(y=y, yOffset=offset, color=theme.colour(looks))
    )
    title = "gain over the backbone, points"
    x = alt.X("gain_points:Q", title=title, axis=theme.axis("+f"))
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("gain_points_ci_low:Q", title=title), x2=alt.X2("gain_points_ci_high:Q")
    )
    tooltip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("adapter:N"),
        alt.Tooltip("gain_points:Q", title="gain, points", format="+.2f"),
        alt.Tooltip("accuracy:Q", format=".1%"),
    ]
    marks = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, shape=theme.mark(looks), tooltip=tooltip)
    rows = data["run"].nunique() * sum(look.shown for look in looks)
    caption = "Mean gain over clients, paired by client, with 95 % t-intervals. Click on the legend to show or hide an adapter."
    chart = alt.layer(bars.add_params(toggles), marks)
    return Chart("gain", "Gain by run", caption, data, theme.finished(chart, max(160, 16 * rows)))
