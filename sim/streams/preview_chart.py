"""The picture of a preview. Vega-Altair lives here."""

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from sim.outputs import replacing
from sim.streams.preview import OTHERS, Preview

WIDTH = 720
COLOURS = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#edc948", "#76b7b2", "#9c755f", "#ff9da7", "#1b5e8a", "#8cd17d",
    "#b6992d", "#d37295", "#499894", "#86bcb6", "#d4a6c8",
)  # fmt: skip


def draw(found: Preview, path: Path) -> None:
    """Writes the picture as SVG, PNG or HTML, by the name's suffix.

    Raises:
        ReportError: It cannot be written.
    """
    parts = [_timeline(found), *([_drifts(found)] if len(found.drift_steps) else [])]
    chart = alt.vconcat(*parts, spacing=18).configure_view(stroke=None)
    chart = chart.configure_axis(labelFontSize=11, titleFontSize=12).configure_title(anchor="start", fontSize=13)
    with replacing(path) as temporary:
        scale = {"scale_factor": 1.25} if path.suffix == ".png" else {}
        chart.save(str(temporary), format=path.suffix[1:], **scale)


def _step(found: Preview) -> Any:
    steps = max(map(len, found.labels))
    return alt.X("step:Q", title="step", scale=alt.Scale(domain=[0, steps], nice=False))


def _timeline(found: Preview) -> Any:
    names, _ = found.groups()
    colours = ["#bbbbbb" if name == OTHERS else COLOURS[i % len(COLOURS)] for i, name in enumerate(names)]
    what = "superclass" if found.by_superclass else found.label_words[0]
    # a facet takes one table: shares and drifts stand in it together
    marks = [
        {"client": f"client {client}", "drift": int(step)}
        for client, step in zip(found.drift_clients, found.drift_steps, strict=True)
        if client < len(found.labels)
    ]
    clients = found.clients
    kind = "natural clients" if clients.source == "natural" else f"drift: {clients.drift.kind}"
    title = alt.Title(
        f"{found.name}: what {len(found.labels)} of {clients.count} clients see ({kind})",
        subtitle=f"one row a client; the height of a colour is its share of {found.bin} images; black lines open a drift",
    )
    base = alt.Chart(alt.Data(values=found.shares() + marks))
    bars = (
        base.transform_filter("isValid(datum.group)")
        .mark_rect(strokeWidth=0)
        .encode(
            x=_step(found),
            x2="stop:Q",
            y=alt.Y("low:Q", axis=None, scale=alt.Scale(domain=[0, 1])),
            y2="high:Q",
            color=alt.Color(
                "group:N", title=what, scale=alt.Scale(domain=names, range=colours), legend=alt.Legend(symbolLimit=0)
            ),
        )
    )
    rules = base.transform_filter("isValid(datum.drift)").mark_rule(color="black", strokeWidth=1.5).encode(x="drift:Q")
    order = [f"client {client}" for client in range(len(found.labels))]
    return (
        alt.layer(bars, rules)
        .properties(width=WIDTH, height=30)
        .facet(
            row=alt.Row(
                "client:N", sort=order, title=None, header=alt.Header(labelAngle=0, labelAlign="left", labelFontSize=11)
            ),
            spacing=4,
        )
        .properties(title=title)
    )


def _drifts(found: Preview) -> Any:
    """How many clients drift when."""
    steps = max(len(seen) for seen in found.labels)
    edges = np.arange(0, steps + found.bin, found.bin)
    counts, _ = np.histogram(found.drift_steps, edges)
    values = [
        {"step": int(edge), "stop": min(int(edge) + found.bin, steps), "drifts": int(count)}
        for edge, count in zip(edges, counts, strict=False)
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_rect(color="#555555")
        .encode(
            x=_step(found),
            x2="stop:Q",
            y=alt.Y(
                "drifts:Q",
                title="drifts",
                scale=alt.Scale(domain=[0, int(counts.max())]),
                axis=alt.Axis(tickCount=3, format="d"),
            ),
            y2=alt.datum(0),
        )
        .properties(
            width=WIDTH, height=70, title=f"where drifts open: {found.audited} clients, {len(found.drift_steps)} drifts"
        )
    )
