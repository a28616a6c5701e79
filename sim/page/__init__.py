"""What people look at: the page of a run, charts as files, and other places to look at runs, all made of tables alone.

May import `sim.report`. Vega-Altair and Jinja live here.
"""

from sim.addresses import Location
from sim.cache import Cache
from sim.outputs import replacing
from sim.page.comparison_page import comparison_page
from sim.page.figures import write_figures
from sim.page.parts import Page
from sim.page.render import render
from sim.page.run_page import run_page
from sim.page.sweep_page import sweep_page
from sim.page.theme import Style, partners
from sim.report.compare import Comparison
from sim.report.load import Report

__all__ = ["PAGE_FILE", "page_of", "write_comparison", "write_figures", "write_page", "write_report"]

PAGE_FILE = "report.html"


def page_of(report: Report) -> tuple[Page, list[Style]]:
    """The page of a report, of a run or of a sweep, and the styles of its adapters."""
    return sweep_page(report) if report.run.get("sweep") else run_page(report)


def write_report(report: Report, cache: Cache, figures: Location | None = None) -> tuple[Location, list[Location]]:
    """Writes a report's page into its folder, and its charts into another.

    Args:
        report: The report.
        cache: Where the JavaScript bundle is kept.
        figures: Where SVG, PNG and CSV of every chart go; nowhere if None.

    Returns:
        The page's file, and those of the charts.

    Raises:
        ReportError: It cannot be written.
    """
    page, looks = page_of(report)
    files = [] if figures is None else write_figures(page.charts(), figures)
    return write_page(page, looks, report.folder / PAGE_FILE, cache), files


def write_comparison(found: Comparison, path: Location, cache: Cache) -> Location:
    """Writes the page of a comparison.

    Raises:
        ReportError: It cannot be written.
    """
    return write_page(*comparison_page(found), path, cache)


def write_page(page: Page, looks: list[Style], path: Location, cache: Cache) -> Location:
    """Writes a page so that it is there completely or not at all.

    Raises:
        ReportError: It cannot be written.
    """
    text = render(page, partners(looks), cache)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
