"""What a run found, in a few figures."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from sim.page import theme
from sim.page.parts import Card, Cards, Chart, Table, by_adapter, interval, percent, points, rows_of, size, whole
from sim.report.best import best_row
from sim.report.load import Report


def best_adapter(report: Report) -> str:
    """The adapter with the largest gain among those that see images alone; the backbone if there is no other."""
    best = best_row(report.summary)
    return "backbone" if best is None else str(best["adapter"])


def headline_cards(report: Report) -> Cards:
    """The best adapter's figures, each beside what it is to be compared with."""
    name = best_adapter(report)
    summary = by_adapter(report.summary)
    row, backbone, answer = summary[name], summary["backbone"], by_adapter(report.answers)[name]
    if name == "backbone":
        of_mean = interval(backbone.accuracy_ci_low, backbone.accuracy_ci_high, "")
        return Cards([Card(percent(backbone.accuracy), "accuracy of the backbone", of_mean)])
    cards = [
        Card(f"{points(row.gain)} points", f"gain of {name} over the backbone", _reach(row)),
        Card(
            percent(row.accuracy),
            f"accuracy of {name}",
            f"backbone {percent(backbone.accuracy)}{_oracle(report)}",
        ),
    ]
    if pd.notna(answer.drop):
        back = answer.recovery_images
        recovered = "not back at 90 % within the horizon"
        if pd.notna(back):
            recovered = f"back at 90 % after {whole(back)} images" if back else "never below 90 % of the level before"
        cards.append(Card(f"{points(answer.drop, '')} points", f"drop of {name} at a drift", recovered))
    cards.append(
        Card(
            f"{points(answer.worst_decile_gain)} points",
            "gain of the worst tenth of the clients",
            "by their own gain",
        )
    )
    cards.append(
        Card(
            size(row.state_bytes),
            f"state of {name} on a device",
            f"{whole(row.macs_per_image)} MACs an image{_share(report, name)}",
        )
    )
    return Cards(cards)


def gain_chart(report: Report, styles: Sequence[theme.Style]) -> Chart:
    """Gain of every adapter with its interval."""
    columns = ["adapter", "sees", "knows", "accuracy", "gain", "gain_ci_low", "gain_ci_high"]
    frame = report.summary[columns].astype({"gain_ci_low": float, "gain_ci_high": float})
    for column in columns[4:]:
        frame[column] *= 100
    frame = frame.rename(columns={name: name.replace("gain", "gain_points") for name in columns[4:]})
    y = alt.Y("adapter:N", title=None, sort=None)
    base = alt.Chart(theme.values(frame)).encode(y=y)
    title = "gain over the backbone, points"
    x = alt.X("gain_points:Q", title=title, axis=theme.axis("+f"))
    zero = (
        alt.Chart(theme.values(pd.DataFrame({"gain": [0]})))
        .mark_rule(color=theme.MUTED)
        .encode(x=alt.X("gain:Q", title=title))
    )
    bars = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("gain_points_ci_low:Q", title=title),
        x2=alt.X2("gain_points_ci_high:Q"),
        color=theme.colour(styles, None),
    )
    tooltip = [
        alt.Tooltip("adapter:N"),
        alt.Tooltip("sees:N"),
        alt.Tooltip("knows:N"),
        alt.Tooltip("gain_points:Q", title="gain, points", format="+.2f"),
        alt.Tooltip("gain_points_ci_low:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("gain_points_ci_high:Q", title="to", format="+.2f"),
        alt.Tooltip("accuracy:Q", format=".1%"),
    ]
    marks = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=x, color=theme.colour(styles, None), shape=theme.mark(styles, None), tooltip=tooltip
    )
    caption = (
        "Mean gain over clients, paired by client, with its 95 % t-interval: how sure the mean over clients is, given this one "
        f"training. {_seeing(report)} {knowing(report.summary)}".rstrip()
    )
    return Chart(
        "gain",
        "Gain over the backbone",
        caption,
        frame,
        theme.finished(alt.layer(zero, bars, marks), max(90, (24 if len(frame) <= 20 else 15) * len(frame))),
    )


def summary_table(report: Report) -> Table:
    """The summary."""
    drifts = report.answers.set_index("adapter")["drop"]
    drifting = bool(drifts.notna().any())
    header = ["adapter", "sees", "knows", "accuracy", "client mean, % [95 %]", "gain, points [95 %]"]
    header += ["drop, points"] * drifting + ["MACs an image", "state"]
    rows = []
    for row in rows_of(report.summary):
        cells = [
            str(row.adapter), str(row.sees), known(row.knows), percent(row.accuracy),
            f"{points(row.accuracy_client_mean, '')} {interval(row.accuracy_ci_low, row.accuracy_ci_high, '')}",
            f"{points(row.gain)} {interval(row.gain_ci_low, row.gain_ci_high)}",
        ]  # fmt: skip
        if drifting:
            cells.append(points(drifts[row.adapter], ""))
        rows.append([*cells, whole(row.macs_per_image), size(row.state_bytes)])
    return Table("All adapters", header, rows)


def _reach(row: Any) -> str:
    found = interval(row.gain_ci_low, row.gain_ci_high)
    return f"95 % {found}, paired over {whole(row.clients)} clients" if found else f"{whole(row.clients)} clients"


def _oracle(report: Report) -> str:
    """What an adapter that is told the class subset reaches, for comparison."""
    oracle = report.summary[report.summary["kind"] == "oracle"]
    return "" if oracle.empty else f"; told the classes (oracle) {percent(oracle['accuracy'].iloc[0])}"


def _share(report: Report, name: str) -> str:
    share = report.overhead.set_index("adapter")["macs_share"].get(name)
    return "" if share is None or pd.isna(share) else f", {100 * share:.2f} % of the backbone's"


def _seeing(report: Report) -> str:
    """Which adapters see more than images."""
    others = report.summary[report.summary["sees"] != "images"]
    if others.empty:
        return ""
    named = [
        f"{str(sees).replace('_', ' ')} ({', '.join(rows['adapter'])})"
        for sees, rows in others.groupby("sees", sort=False)
    ]
    return f"References that see more than images, dashed: {'; '.join(named)}."


def known(knows: str | None) -> str:
    """What an adapter knows of clients, or a dash: nothing, or nobody has said."""
    return "–" if knows is None or pd.isna(knows) or knows == "nothing" else str(knows)


def knowing(frame: pd.DataFrame) -> str:
    """Which adapters that see images alone were told something of clients beforehand; nothing if none was."""
    told = frame[(frame["sees"] == "images") & ~frame["knows"].isin(["nothing"]) & frame["knows"].notna()]
    named = [f"the {knows} ({', '.join(rows['adapter'])})" for knows, rows in told.groupby("knows", sort=False)]
    return f"Told beforehand, by a list or by training on such clients: {'; '.join(named)}." if named else ""
