"""The page of a comparison of runs."""

import altair as alt

from sim.page import theme
from sim.page.parts import Chart, Links, Page, Section, Table, interval, percent, points, rows_of
from sim.report.compare import Comparison


def comparison_page(found: Comparison) -> tuple[Page, list[theme.Style]]:
    """The page of a comparison, and the styles of the adapters of the first run."""
    first = found.reports[0]
    looks = [look for look in theme.styles(first.answers) if look.adapter in set(found.table["adapter"])]
    rows = [
        [
            row.run, row.adapter, f"{row.clients:,}", percent(row.accuracy_first), percent(row.accuracy),
            f"{points(row.difference)} {interval(row.difference_ci_low, row.difference_ci_high)}",
            f"{row.clients_better:.0f} / {row.clients_equal:.0f} / {row.clients_worse:.0f}" if found.paired else "–",
        ]
        for row in rows_of(found.table)
    ]  # fmt: skip
    header = [
        "run",
        "adapter",
        "clients",
        "first run",
        "this run",
        "difference, points [95 %]",
        "better / equal / worse",
    ]
    note = (
        "Of the same clients on the same streams, paired; better, equal and worse count clients."
        if found.paired
        else "The runs' streams differ: means over different clients, with Welch's interval. Nothing is paired."
    )
    notes = [note]
    if len(set(found.protocols)) > 1:
        pairs = zip(found.reports, found.protocols, strict=True)
        told = ", ".join(f"{report.folder}: {protocol}" for report, protocol in pairs)
        notes.append(
            f"The runs predicted by different protocols ({told}): what differs is what an image was predicted with."
        )
    settings = [list(map(str, row)) for row in found.settings.itertuples(index=False)]
    parts: list[Table] = [Table("Settings that differ", list(found.settings.columns), settings)] if settings else []
    if found.missing:
        rows_missing = [[name, ", ".join(folders)] for name, folders in found.missing.items()]
        parts.append(Table("Adapters that not all runs have", ["adapter", "runs that have it"], rows_missing))
    pages = [((report.folder.resolve() / "report.html").as_uri(), str(report.folder)) for report in found.reports]
    sections = [
        Section("differences", "Differences", notes, [_chart(found, looks), Table("All differences", header, rows)]),
        Section("settings", "What differs", [], parts),
        Section("runs", "The runs", [], [Links(pages)]),
    ]
    others = ", ".join(str(report.folder) for report in found.reports[1:])
    lead = f"Accuracy of {others} less that of {first.folder}."
    return Page("Comparison", lead, [section for section in sections if section.parts]), looks


def _chart(found: Comparison, looks: list[theme.Style]) -> Chart:
    """The difference of each run and adapter with its interval."""
    columns = ["run", "adapter", "accuracy_first", "accuracy", "difference", "difference_ci_low", "difference_ci_high"]
    data = found.table[columns].copy()
    for column in columns[4:]:
        data[column] *= 100
    data = data.rename(columns={name: name.replace("difference", "difference_points") for name in columns[4:]})
    title = "difference in accuracy from the first run, points"
    several = data["run"].nunique() > 1
    y = alt.Y("run:N", title=None, sort=None) if several else alt.Y("adapter:N", title=None, sort=None)
    base = alt.Chart(theme.values(data)).encode(y=y, color=theme.colour(looks))
    if several:
        base = base.encode(yOffset=alt.YOffset("adapter:N", sort=[look.adapter for look in looks]))
    bars = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("difference_points_ci_low:Q", title=title), x2=alt.X2("difference_points_ci_high:Q")
    )
    tooltip = [
        alt.Tooltip("run:N"),
        alt.Tooltip("adapter:N"),
        alt.Tooltip("difference_points:Q", title="difference, points", format="+.2f"),
        alt.Tooltip("accuracy_first:Q", title="first run", format=".1%"),
        alt.Tooltip("accuracy:Q", title="this run", format=".1%"),
    ]
    marks = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("difference_points:Q", title=title, axis=theme.axis("+f")), shape=theme.mark(looks), tooltip=tooltip
    )
    zero = (
        alt.Chart(theme.values(data.head(1).assign(zero=0)))
        .mark_rule(color=theme.MUTED)
        .encode(x=alt.X("zero:Q", title=title))
    )
    caption = "95 % t-intervals over clients. Right of the line: more accurate than the first run."
    height = max(110, (18 if several else 24) * len(data))
    return Chart(
        "difference",
        "Difference from the first run",
        caption,
        data,
        theme.finished(alt.layer(zero, bars, marks), height),
    )
