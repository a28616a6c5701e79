"""A report in a notebook: its headline and main chart, and all charts of its page to work on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert

from sim.addresses import Address, Location
from sim.page import PAGE_FILE, page_of
from sim.page.parts import Cards, Chart
from sim.page.theme import specification
from sim.report.load import Report

HERE = Path(__file__).parent


class Plots:
    """The charts of a report's page, as Vega-Altair charts: `report.plot.gain()` is the one that the page calls `gain`.

    Args:
        report: Of a run or of a sweep.
    """

    def __init__(self, report: Report) -> None:
        page, _ = page_of(report)
        self._folder = report.folder
        self._charts = {chart.name: chart for chart in page.charts()}

    def __getattr__(self, name: str) -> Callable[[], Any]:
        if name.startswith("_") or name not in self._charts:
            raise AttributeError(f"{self._folder}: has no chart {name!r}; it has {', '.join(self)}")
        return lambda: _altair(self._charts[name])

    def __iter__(self) -> Any:
        return iter(self._charts)

    def __dir__(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        lines = [f"{name + '()':<20}{chart.title}" for name, chart in self._charts.items()]
        return "\n".join([f"charts of {self._folder}:", *lines])


def plots(report: Report) -> Plots:
    """The charts of a report, by name."""
    return Plots(report)


def html(report: Report) -> str:
    """A report in a few lines of HTML that need no script: its headline, its first chart, and where the rest is."""
    page, _ = page_of(report)
    parts = [part for section in page.sections for part in section.parts]
    cards = [card for part in parts if isinstance(part, Cards) for card in part.cards]
    first = next((part for part in parts if isinstance(part, Chart)), None)
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (HERE / "notebook.html.j2").read_text(encoding="utf-8")
    )
    return template.render(
        title=page.title,
        lead=page.lead,
        cards=cards,
        chart=None if first is None else vl_convert.vegalite_to_svg(specification(first.spec, first.title)),
        links=[("page", _link(report.folder / PAGE_FILE)), ("folder", _link(report.folder))],
        names=[chart.name for chart in page.charts()],
    )


def _altair(chart: Chart) -> Any:
    """A chart as Altair has it, in the page's look, however many rows it draws."""
    return alt.Chart.from_dict(specification(chart.spec, chart.title))


def _link(path: Location) -> str:
    """From the notebook's folder, so that the browser's Jupyter finds it as well."""
    if isinstance(path, Address):
        return str(path)
    return Path(os.path.relpath(path)).as_posix()
