"""How clients differ, and whom an adapter fails."""

import re
import shlex
from collections.abc import Sequence

import altair as alt
import pandas as pd

from sim.files import DISK
from sim.page import theme
from sim.page.aggregates import Clients
from sim.page.parts import Cell, Chart, Copied, Links, Table, percent, points, rows_of
from sim.report.load import Report

CLIENT_FILE = re.compile(r"client-(\d+)\.html")

MEASURES = {
    "accuracy": ("accuracy", 1, "Accuracy of single clients", "accuracy of a client", ".0%", ".1%"),
    "gain": ("gain_points", 100, "Gain of single clients", "gain of a client over the backbone, points", "+f", "+.1f"),
}
"""Of each: the column that is drawn, its factor, the chart's title, the axis, and how its values are written there and on hover."""


def distribution_charts(found: Clients, styles: Sequence[theme.Style]) -> list[Chart]:
    """The share of clients at or below an accuracy, and at or below a gain."""
    return [_chart(found.quantiles, styles, measure) for measure in MEASURES]


def _chart(quantiles: pd.DataFrame, styles: Sequence[theme.Style], measure: str) -> Chart:
    column, factor, title, axis, form, exact = MEASURES[measure]
    frame = quantiles.loc[quantiles["measure"] == measure, ["adapter", "share"]]
    frame = frame.assign(**{column: factor * quantiles["value"]})
    toggles = theme.toggles(styles)
    x = alt.X(f"{column}:Q", title=axis, axis=theme.axis(form), scale=alt.Scale(zero=False))
    y = alt.Y(
        "share:Q", title="share of the clients at or below", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])
    )
    base = (
        alt.Chart(theme.values(frame))
        .transform_filter(toggles)
        .encode(x=x, y=y, color=theme.colour(styles, theme.stroke_legend()))
    )
    lines = base.mark_line(interpolate="step-after").encode(
        strokeDash=theme.dash(styles, theme.stroke_legend()), strokeWidth=theme.width(), order=alt.Order("share:Q")
    )
    touch = base.mark_point(size=120, opacity=0, filled=True).encode(
        tooltip=[
            alt.Tooltip("adapter:N"),
            alt.Tooltip("share:Q", title="of clients", format=".1%"),
            alt.Tooltip(f"{column}:Q", format=exact),
        ]
    )
    worst = alt.Chart(theme.values(pd.DataFrame({"share": [0.1], "text": ["worst tenth"]})))
    rule = worst.mark_rule(color=theme.MUTED, strokeDash=[2, 2]).encode(y=alt.Y("share:Q"))
    text = worst.mark_text(align="left", baseline="bottom", dx=4, dy=-2, color=theme.MUTED, fontSize=11).encode(
        y=alt.Y("share:Q"), x=alt.value(0), text=alt.Text("text:N")
    )
    chart = alt.layer(rule, lines.add_params(toggles), touch, text)
    caption = "A curve further right is better; below the dotted line is the worst tenth of the clients."
    return Chart(f"clients_{measure}", title, caption, frame, theme.finished(chart, 300), half=True)


def decile_table(report: Report, found: Clients) -> Table:
    """What each adapter does for the worst tenth of its clients."""
    median = found.quantiles[found.quantiles["share"] == 0.5].set_index(["adapter", "measure"])["value"]
    rows = [
        [
            str(row.adapter), percent(median[row.adapter, "accuracy"]), percent(row.worst_decile_accuracy),
            points(median[row.adapter, "gain"]), points(row.worst_decile_gain), percent(found.below[str(row.adapter)]),
        ]
        for row in rows_of(report.answers)
    ]  # fmt: skip
    header = [
        "adapter", "median accuracy", "worst tenth, accuracy", "median gain, points", "worst tenth, gain",
        "clients below the backbone",
    ]  # fmt: skip
    note = "The worst tenth by accuracy and the worst tenth by gain need not be the same clients."
    return Table("The worst tenth of the clients", header, rows, note)


def worst_table(report: Report, found: Clients, named: str) -> Table:
    """The clients with the lowest accuracy of one adapter, and how to look at each."""
    rows: list[list[Cell]] = [
        [
            str(row.client), percent(row.accuracy), percent(row.accuracy - row.gain), points(row.gain), f"{row.images:,}",
            _look(report, int(row.client)),
        ]
        for row in rows_of(found.worst)
    ]  # fmt: skip
    note = "The command makes a page of one client: its images, every answer, and what each bank held."
    header = ["client", f"accuracy with {named}", "with the backbone", "gain, points", "images", "look at it"]
    return Table(f"The {len(rows)} clients with the lowest accuracy", header, rows, note)


def looked_at(report: Report) -> Links | None:
    """Pages of single clients that lie beside the run's page; None if there are none."""
    names = DISK.names(report.folder)
    numbers = sorted(int(found[1]) for name in names if (found := CLIENT_FILE.fullmatch(name)))
    return Links([(client_file(number), f"Page of client {number}") for number in numbers]) if numbers else None


def client_file(client: int) -> str:
    """The name that a client's page has beside its run's."""
    return f"client-{client}.html"


def _look(report: Report, client: int) -> Copied:
    page = client_file(client)
    command = shlex.join(["iciia", "look", str(report.folder), "--client", str(client)])
    return Copied(command, page if (report.folder / page).is_file() else None)
