"""Accuracy against bank capacity."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from sim.page import theme
from sim.page.parts import Chart, by_adapter, rows_of
from sim.report.load import Report

WHEN = ("all images", "before a drift", "after a drift")


def capacity_chart(report: Report, styles: Sequence[theme.Style]) -> Chart | None:
    """Gain over the backbone by bank and capacity; None if no bank comes in two sizes."""
    answers = report.answers.dropna(subset=["bank"])
    if answers.empty or answers.groupby("bank")["bank_capacity"].nunique().max() < 2:
        return None
    summary = by_adapter(report.summary)
    rows: list[dict[str, object]] = []
    for row in rows_of(answers):
        of, backbone = summary[row.adapter], summary["backbone"]
        common = {"bank": row.bank, "capacity": int(row.bank_capacity), "adapter": row.adapter}
        rows.append({**common, "when": WHEN[0], "gain": row.gain, "low": row.gain_ci_low, "high": row.gain_ci_high})
        for when, column in ((WHEN[1], "accuracy_before_drift"), (WHEN[2], "accuracy_after_drift")):
            if pd.notna(getattr(of, column)):
                rows.append(
                    {
                        **common,
                        "when": when,
                        "gain": getattr(of, column) - getattr(backbone, column),
                        "low": None,
                        "high": None,
                    }
                )
    frame = pd.DataFrame(rows).astype({"low": float, "high": float})
    for column in ("gain", "low", "high"):
        frame[column] *= 100
    frame = frame.rename(columns={"gain": "gain_points", "low": "gain_points_low", "high": "gain_points_high"})
    several = frame["bank"].nunique() > 1
    opened = WHEN[:1] if several else WHEN
    when = alt.selection_point(
        name="when", fields=["when"], bind="legend", toggle="true", value=[{"when": one} for one in opened]
    )
    shown = alt.selection_point(name="banks", fields=["bank"], bind="legend", toggle="true")
    capacities = sorted(frame["capacity"].unique().tolist())
    x = alt.X(
        "capacity:Q",
        title="bank capacity, images",
        scale=alt.Scale(type="symlog", constant=1, domain=[capacities[0], capacities[-1]], nice=False),
        axis=alt.Axis(values=capacities, format="d", labelOverlap=True),
    )
    present = [one for one in WHEN if one in set(frame["when"])]
    dashes = [[1, 0], [6, 3], [2, 2]][: len(present)]
    colour, mark = _of_banks(answers, styles)
    base = alt.Chart(theme.values(frame)).transform_filter(when).transform_filter(shown).encode(x=x, color=colour)
    title = "gain over the backbone, points"
    y = alt.Y("gain_points:Q", title=title)
    lines = base.mark_line(strokeWidth=2).encode(
        y=y,
        strokeDash=alt.StrokeDash(
            "when:N", title=None, scale=alt.Scale(domain=present, range=dashes), legend=theme.stroke_legend()
        ),
    )
    bars = base.mark_rule().encode(y=alt.Y("gain_points_low:Q", title=title), y2=alt.Y2("gain_points_high:Q"))
    marks = base.mark_point(filled=True, size=45, opacity=1).encode(
        y=y,
        shape=mark,
        tooltip=[
            alt.Tooltip("adapter:N"),
            alt.Tooltip("when:N"),
            alt.Tooltip("capacity:Q", title="capacity"),
            alt.Tooltip("gain_points:Q", title="gain, points", format="+.1f"),
            alt.Tooltip("gain_points_low:Q", title="95 % from", format="+.1f"),
            alt.Tooltip("gain_points_high:Q", title="to", format="+.1f"),
        ],
    )
    none = alt.Chart(theme.values(pd.DataFrame({"gain": [0]}))).mark_rule(color=theme.NEUTRAL, strokeWidth=2)
    chart = alt.layer(none.encode(y=alt.Y("gain:Q", title=title)), bars, lines.add_params(when, shown), marks)
    around = " Before and after: the windows on each side of the drifts." if len(present) > 1 else ""
    caption = (
        "Gain over the backbone (grey line), paired by client; bars are 95 % t-intervals over clients." + around
        + " Click on the legend to choose."
    )  # fmt: skip
    return Chart("capacity", "How large a bank should be", caption, frame, theme.finished(chart, 320))


def _of_banks(answers: pd.DataFrame, styles: Sequence[theme.Style]) -> tuple[alt.Color, alt.Shape]:
    """Colour and mark of banks: a bank looks like its largest capacity."""
    of = {style.adapter: style for style in styles}
    largest = answers.sort_values("bank_capacity").groupby("bank")["adapter"].last()
    banks = answers["bank"].unique().tolist()
    looks = [of[largest[bank]] for bank in banks]
    return (
        alt.Color("bank:N", title=None, scale=alt.Scale(domain=banks, range=[look.colour for look in looks])),
        alt.Shape("bank:N", title=None, scale=alt.Scale(domain=banks, range=[look.mark for look in looks])),
    )
