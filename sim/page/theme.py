"""How adapters look: the same colour, dash and mark in every chart.

Hues are those of Okabe and Ito, which readers with any colour vision tell apart. Within a bank's hue a larger capacity has more
contrast with the background, so that the order also shows in grey; dashes and marks differ too. Every colour has a partner for dark
backgrounds, by which the page's script replaces it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from sim.page.parts import rows_of

INK, MUTED, GRID, PAPER = "#1f2328", "#59636e", "#e4e7eb", "#ffffff"
NEUTRAL, REFERENCE, DRIFT = "#6e7781", "#3d444d", "#8a5a00"

PARTNERS = {
    INK: "#e8eaed", MUTED: "#a8b0ba", GRID: "#30363d", PAPER: "#16191d", NEUTRAL: "#9aa4b0", REFERENCE: "#d0d6dd", DRIFT: "#e0b050",
}  # fmt: skip
"""Colours of text and lines, and what each becomes on a dark background."""

HUES: Sequence[tuple[tuple[str, str], tuple[str, str]]] = (
    (("#3e99de", "#084a80"), ("#346b93", "#9fd4ff")),  # blue
    (("#d08111", "#9c4a00"), ("#8f5a1c", "#ffc66e")),  # orange
    (("#3da37e", "#00543f"), ("#2c7259", "#86e8c5")),  # bluish green
    (("#cf76ab", "#7d2a60"), ("#944f78", "#f5bfe0")),  # reddish purple
    (("#ea6e45", "#8a2500"), ("#a64c2e", "#ffae92")),  # vermilion
    (("#9d963d", "#55500a"), ("#6f6a26", "#ece27a")),  # olive
    (("#9b86d6", "#41308a"), ("#6a5ba8", "#cfc2ff")),  # violet
    (("#b68a6a", "#5a3a22"), ("#7f5f49", "#e8c8b0")),  # brown
)
"""Of each bank: weak and strong end on a light background, and on a dark one. All have a contrast of 3 or more with it."""

DASHES: Sequence[list[int]] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 2, 1, 2], [2, 4], [10, 2, 2, 2, 2, 2])
MARKS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
REFERENCE_DASHES: Sequence[list[int]] = ([5, 3], [1, 3], [7, 2, 1, 2], [3, 2])

LOOK: Mapping[str, Any] = {
    "background": PAPER,
    "font": "Arial, Helvetica, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED, "titleColor": INK, "gridColor": GRID, "domainColor": MUTED, "tickColor": MUTED, "labelFontSize": 11,
        "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 220,
    },
    "legend": {
        "orient": "bottom", "columns": 6, "labelColor": INK, "titleColor": INK, "labelFontSize": 12, "symbolSize": 90,
        "symbolStrokeWidth": 0, "symbolLimit": 0, "labelLimit": 220, "columnPadding": 14, "rowPadding": 4,
    },
}  # fmt: skip
"""The configuration of every chart, in Vega-Lite's words."""

MOST_SHOWN = 9
"""Adapters that a chart opens with; the others are a click on the legend away."""


@dataclass(frozen=True)
class Style:
    """How an adapter looks.

    Args:
        adapter: Its name.
        colour: On a light background.
        dark: On a dark one.
        dash: Of its lines.
        mark: Of its points.
        shown: Whether charts open with it.
    """

    adapter: str
    colour: str
    dark: str
    dash: list[int]
    mark: str
    shown: bool


def styles(answers: pd.DataFrame) -> list[Style]:
    """Styles of all adapters, in the report's order.

    Args:
        answers: The report's `answers`.
    """
    banks = [bank for bank in answers["bank"].unique() if pd.notna(bank)]
    shown = _shown(answers)
    found, alone = [], 0
    for row in rows_of(answers):
        name, place = str(row.adapter), 0
        if row.sees != "images":
            neighbours = [str(other.adapter) for other in rows_of(answers) if other.sees != "images"]
            place = neighbours.index(name)
            colour, dark, dash = REFERENCE, PARTNERS[REFERENCE], REFERENCE_DASHES[place % 4]
            place = -1 - place  # marks from the other end
        elif pd.isna(row.bank) and name == "backbone":
            colour, dark, dash = NEUTRAL, PARTNERS[NEUTRAL], DASHES[0]
        else:
            if pd.isna(row.bank):
                members, hue = [name], len(banks) + alone
                alone += 1
            else:
                of_bank = answers[answers["bank"] == row.bank].sort_values("bank_capacity")
                members, hue = of_bank["adapter"].tolist(), banks.index(row.bank)
            place = members.index(name)
            strength = 0.7 if len(members) == 1 else place / (len(members) - 1)
            light_ends, dark_ends = HUES[hue % len(HUES)]
            colour, dark = _between(*light_ends, strength), _between(*dark_ends, strength)
            dash = DASHES[(hue + hue // len(HUES) if len(banks) + alone > 1 else place) % len(DASHES)]
            place += hue + hue // len(HUES)
        found.append(Style(name, colour, dark, dash, MARKS[place % len(MARKS)], name in shown))
    return found


def _shown(answers: pd.DataFrame) -> set[str]:
    """All adapters if they are few; otherwise the backbone, one that is told more, each bank's smallest good capacity, others."""
    if len(answers) <= MOST_SHOWN:
        return set(answers["adapter"])
    told = answers["sees"] != "images"
    ordered = answers.sort_values("accuracy", ascending=False)
    banks = ordered[ordered["smallest_within_a_point"].eq(True)]
    others = ordered[ordered["bank"].isna() & (ordered["sees"] == "images") & (ordered["adapter"] != "backbone")]
    chosen = ["backbone", *answers.loc[told, "adapter"][:1], *banks["adapter"][: MOST_SHOWN - 4], *others["adapter"]]
    return set(chosen[:MOST_SHOWN])


def _between(weak: str, strong: str, strength: float) -> str:
    """A colour between two, each as #rrggbb."""
    parts = [(int(weak[i : i + 2], 16), int(strong[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * strength):02x}" for a, b in parts)


def partners(found: Sequence[Style]) -> dict[str, str]:
    """What each colour becomes on a dark background."""
    return {**PARTNERS, **{style.colour: style.dark for style in found}}


def colour(found: Sequence[Style], legend: Any = alt.Undefined, field: str = "adapter") -> Any:
    """The colour of adapters."""
    scale = alt.Scale(domain=[style.adapter for style in found], range=[style.colour for style in found])
    return alt.Color(f"{field}:N", title=None, scale=scale, legend=legend)


def dash(found: Sequence[Style], legend: Any = alt.Undefined) -> Any:
    """The dash of adapters' lines."""
    scale = alt.Scale(domain=[style.adapter for style in found], range=[style.dash for style in found])
    return alt.StrokeDash("adapter:N", title=None, scale=scale, legend=legend)


def mark(found: Sequence[Style], legend: Any = alt.Undefined) -> Any:
    """The mark of adapters' points."""
    scale = alt.Scale(domain=[style.adapter for style in found], range=[style.mark for style in found])
    return alt.Shape("adapter:N", title=None, scale=scale, legend=legend)


def width() -> Any:
    """The width of adapters' lines: the backbone's is thicker."""
    return alt.condition("datum.adapter === 'backbone'", alt.value(3), alt.value(2))


def stroke_legend() -> Any:
    """A legend whose entries are pieces of line: for lines without marks."""
    return alt.Legend(symbolType="stroke", symbolStrokeWidth=2, symbolSize=350)


def axis(form: str) -> Any:
    """An axis with as many ticks as its width has room for.

    Args:
        form: How values are written, in the words of d3-format.
    """
    return alt.Axis(format=form, tickCount=alt.ExprRef(expr="ceil(width/75)"))


def toggles(found: Sequence[Style]) -> Any:
    """The legend as switches: a click shows or hides an adapter."""
    chosen = [{"adapter": style.adapter} for style in found if style.shown]
    return alt.selection_point(name="shown", fields=["adapter"], bind="legend", toggle="true", value=chosen)


def values(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as the data of a chart: floats rounded to what can be seen."""
    return frame.round(dict.fromkeys(frame.select_dtypes("float").columns, 6))


def specification(chart: Any, title: str | None = None, validate: bool = False) -> dict[str, Any]:
    """A chart as Vega-Lite with the common look, each of its data sets in it once.

    Args:
        chart: The chart.
        title: A title inside the picture.
        validate: Whether Altair holds it against Vega-Lite's schema, which takes a while; tests do.
    """
    with alt.data_transformers.enable("default", max_rows=None):
        found: dict[str, Any] = _numbered(chart.to_dict(validate=validate), {})
    found["config"] = LOOK
    return found if title is None else {**found, "title": title}


def _numbered(part: Any, names: dict[str, str]) -> Any:
    """A specification whose views are numbered from 0: the names that Altair gives differ from one process to the next."""
    if isinstance(part, list):
        return [_numbered(one, names) for one in part]
    if not isinstance(part, dict):
        return part
    found = {key: value if key in ("datasets", "values") else _numbered(value, names) for key, value in part.items()}
    for key in ("name", "views"):
        if key not in found:
            continue
        value = found[key]
        found[key] = [_view(one, names) for one in value] if isinstance(value, list) else _view(value, names)
    return found


def _view(name: Any, names: dict[str, str]) -> Any:
    if not isinstance(name, str) or not re.fullmatch(r"view_\w+", name):
        return name
    return names.setdefault(name, f"view_{len(names)}")


def finished(chart: Any, height: int = 300) -> Any:
    """The chart in its size: as wide as there is room."""
    return chart.properties(width=640, height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
