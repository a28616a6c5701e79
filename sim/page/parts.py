"""What a page is made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Chart:
    """One chart.

    Args:
        name: Of the files it is exported to.
        title: What it shows.
        caption: How to read it.
        data: What is drawn, in full precision.
        spec: The Vega-Altair chart, in the light palette.
        half: Whether it may stand beside another part.
    """

    name: str
    title: str
    caption: str
    data: pd.DataFrame
    spec: Any
    half: bool = False


@dataclass(frozen=True)
class Copied:
    """A cell with a command to be copied.

    Args:
        command: The command.
        page: What it has made, by path relative to the page; None if that is not there.
    """

    command: str
    page: str | None = None


Cell = str | Copied


@dataclass(frozen=True)
class Table:
    """A table of text.

    Args:
        caption: What it shows.
        header: Names of the columns.
        rows: Cells; all but the first are numbers or short.
        note: What has to be known to read it.
        half: Whether it may stand beside another part.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    half: bool = False


@dataclass(frozen=True)
class Card:
    """A figure to be seen first.

    Args:
        value: The figure.
        label: What it is.
        note: How sure, or compared with what.
    """

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Cards:
    """Figures in a row."""

    cards: Sequence[Card]


@dataclass(frozen=True)
class Code:
    """Text to be copied."""

    caption: str
    text: str
    folded: bool = False


@dataclass(frozen=True)
class Links:
    """Other pages, by path relative to this one."""

    links: Sequence[tuple[str, str]]


Part = Chart | Table | Cards | Code | Links


@dataclass(frozen=True)
class Section:
    """A part of a page under one heading.

    Args:
        name: Its anchor.
        title: Its heading.
        text: Paragraphs.
        parts: What follows them.
    """

    name: str
    title: str
    text: Sequence[str]
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """A page.

    Args:
        title: Its heading.
        lead: One paragraph on what it is of.
        sections: In order; those without parts and text are left out.
    """

    title: str
    lead: str
    sections: Sequence[Section]

    def charts(self) -> list[Chart]:
        """All charts, in order."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Chart)]


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame, columns as attributes."""
    yield from frame.itertuples()


def by_adapter(frame: pd.DataFrame) -> dict[str, Any]:
    """The rows of a frame by their adapter, columns as attributes."""
    return {row.adapter: row for row in rows_of(frame)}


def points(value: float | None, sign: str = "+") -> str:
    """A fraction in points, or a dash if it is not known. 0.114 is +11.4."""
    return "–" if value is None or pd.isna(value) else f"{100 * value:{sign}.1f}"


def percent(value: float | None) -> str:
    """A fraction in percent, or a dash. 0.784 is 78.4 %."""
    return "–" if value is None or pd.isna(value) else f"{100 * value:.1f} %"


def interval(low: float | None, high: float | None, sign: str = "+") -> str:
    """An interval in points; nothing if it is not known."""
    return (
        ""
        if low is None or high is None or pd.isna(low) or pd.isna(high)
        else f"[{points(low, sign)}, {points(high, sign)}]"
    )


def whole(value: float | None) -> str:
    """A count with separators, or a dash."""
    return "–" if value is None or pd.isna(value) else f"{value:,.0f}"


def size(value: float | None) -> str:
    """Bytes in a readable unit. 65600 is 65.6 kB."""
    if value is None or pd.isna(value):
        return "–"
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
