"""Pages in a real browser: drawn without a complaint, phone and desktop, light and dark, and no request leaves the file."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tabs import BACKGROUND, SIZES, Tab

import sim
from sim.cache import Cache
from sim.page import PAGE_FILE, write_comparison, write_page
from sim.page.parts import Page, Section, Table

Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_the_page_is_drawn(open_page: Callable[..., Tab], tiny_report: sim.Report, size: str, scheme: str) -> None:
    tab = open_page(tiny_report.folder / PAGE_FILE, size, scheme)
    assert tab.said == []
    assert tab.asked == [tab.url]
    figures = tab.page.locator("figure.chart")
    assert figures.count() == 10
    for number in range(10):
        figure = figures.nth(number)
        assert figure.get_attribute("data-drawn") == scheme
        marks = figure.locator(".plot svg.marks .role-mark path, .plot svg.marks .role-mark text")
        assert marks.count() > 0, figure.get_attribute("id")
        box = figure.locator(".plot svg.marks").bounding_box()
        assert box["width"] > 300 if size == "phone" else box["width"] > 500
        assert box["x"] + box["width"] <= SIZES[size]["width"] + 1
    labels = tab.page.locator(".plot svg.marks .role-axis-label text").all_text_contents()
    assert labels
    assert not [label for label in labels if "e+" in label or "NaN" in label]
    overflow = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUND[scheme]
    svg = tab.page.locator("#figure-stream .plot svg.marks")
    assert svg.evaluate("element => getComputedStyle(element).backgroundColor") == BACKGROUND[scheme]


def test_the_legend_switches_adapters(open_page: Callable[..., Tab], tiny_report: sim.Report) -> None:
    tab = open_page(tiny_report.folder / PAGE_FILE)
    tab.wait_for_lines("stream", 5)
    entry = tab.page.locator("#figure-stream .role-legend-label text", has_text=re.compile("^iciia-3$"))
    entry.click()
    tab.wait_for_lines("stream", 4)
    tab.wait_for_lines("recovery", 5)  # every chart has switches of its own
    entry.click()
    tab.wait_for_lines("stream", 5)
    assert tab.said == []


def test_hovering_tells_the_figure(open_page: Callable[..., Tab], tiny_report: sim.Report) -> None:
    tab = open_page(tiny_report.folder / PAGE_FILE)
    symbol = tab.page.locator("#figure-gain .plot svg.marks .mark-symbol.role-mark path").nth(4)
    symbol.scroll_into_view_if_needed()
    symbol.hover()
    tooltip = tab.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    text = tooltip.inner_text()
    gain = tiny_report.summary.set_index("adapter").gain["oracle"]
    assert "oracle" in text
    assert f"{100 * gain:+.2f}" in text


def test_the_data_can_be_seen_and_saved(open_page: Callable[..., Tab], tiny_report: sim.Report) -> None:
    tab = open_page(tiny_report.folder / PAGE_FILE)
    figure = tab.page.locator("#figure-stream")
    figure.locator(".data summary").click()
    tab.wait_for("#figure-stream .data tbody tr", 5 * 6)
    with tab.page.expect_download() as download:
        figure.locator(".data button", has_text="Save as CSV").click()
    assert download.value.suggested_filename == "stream.csv"
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].split(",")[:2] == ["adapter", "step"]
    assert len(lines) == 1 + 5 * 6
    with tab.page.expect_download() as picture:
        figure.locator(".vega-embed summary").or_(figure.locator(".plot summary")).first.click()
        figure.locator(".vega-actions a", has_text="SVG").click()
    assert picture.value.suggested_filename == "stream.svg"
    assert tab.said == []


def test_it_follows_the_reader_into_the_dark(open_page: Callable[..., Tab], tiny_report: sim.Report) -> None:
    tab = open_page(tiny_report.folder / PAGE_FILE)
    tab.page.emulate_media(color_scheme="dark")
    tab.page.wait_for_function(
        "[...document.querySelectorAll('figure.chart')].every(one => one.dataset.drawn === 'dark')"
    )
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUND["dark"]
    assert tab.said == []


def test_the_page_may_not_ask_for_anything(open_page: Callable[..., Tab], tiny_report: sim.Report) -> None:
    """Even if a script tried: the page's own policy refuses it."""
    tab = open_page(tiny_report.folder / PAGE_FILE)
    refused = tab.page.evaluate(
        """() => new Promise(resolve => {
             document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
             fetch("http://127.0.0.1:9/").catch(() => {});
           })"""
    )
    assert refused == "connect-src"
    assert tab.asked == [tab.url]


def test_other_pages_are_drawn(open_page: Callable[..., Tab], tiny: Make, tmp_path: Path) -> None:
    """A sweep's page with links to its runs', and a comparison."""
    swept = tiny(sweep={"seed": [3, 4]}, cloud={"seed": 3})
    sim.run(swept, out=tmp_path / "sweep", workers=0, quiet=True)
    tab = open_page(tmp_path / "sweep" / PAGE_FILE, "phone", "dark")
    assert tab.page.locator("#figure-gain svg .mark-symbol.role-mark path").count() == 2 * 5
    tab.page.locator(".links a").nth(1).click()
    tab.ready()
    assert tab.page.url.endswith("cells/0002/report.html")
    assert (tab.said, tab.page.locator("figure.chart").count()) == ([], 10)
    cells = [tmp_path / "sweep" / "cells" / name for name in ("0001", "0002")]
    path = write_comparison(sim.compare(*cells, unpaired=True), tmp_path / "comparison.html", Cache())
    compared = open_page(path, "phone", "light")
    assert (compared.said, compared.asked) == ([], [compared.url])
    assert compared.page.locator("#figure-difference svg .mark-symbol.role-mark path").count() == 5
    assert json.loads(compared.page.locator("#specs").inner_text()).keys() == {"difference"}


def column(tab: Tab, table: str, number: int) -> list[str]:
    rows = tab.page.locator(f"{table} tbody tr:visible")
    return [rows.nth(row).locator("th, td").nth(number).inner_text() for row in range(rows.count())]


def test_tables_are_sorted_by_their_headers(open_page: Callable[..., Tab], tiny_report: sim.Report) -> None:
    tab = open_page(tiny_report.folder / PAGE_FILE)
    summary = tiny_report.summary
    table = "#gains figure.table"
    head = tab.page.locator(f"{table} thead th")
    names = [name.strip() for name in head.all_inner_texts()]
    assert head.first.get_attribute("aria-sort") is None

    accuracy = head.nth(names.index("accuracy"))
    for order in ("descending", "ascending", "descending"):
        accuracy.get_by_role("button").press("Enter")
        assert accuracy.get_attribute("aria-sort") == order
        shown = [float(text.rstrip(" %")) for text in column(tab, table, names.index("accuracy"))]
        assert shown == sorted(shown, reverse=order == "descending")
    head.nth(names.index("state")).get_by_role("button").click()  # bytes in their units: 65.6 kB are more than 800 B
    assert accuracy.get_attribute("aria-sort") is None
    size = summary.set_index("adapter").state_bytes[column(tab, table, 0)].tolist()
    assert size == sorted(size, reverse=True)
    assert size[0] > 1000 > size[-1]
    head.first.get_by_role("button").click()
    assert head.first.get_attribute("aria-sort") == "ascending"
    assert column(tab, table, 0) == ["backbone", "iciia-0", "iciia-3", "iciia-16", "oracle"]  # 3 before 16
    assert (
        tab.page.locator("#clients figure.table thead th").last.locator("button").count() == 0
    )  # commands have no order
    assert tab.said == []


def test_long_tables_are_filtered(open_page: Callable[..., Tab], tiny_report: sim.Report, tmp_path: Path) -> None:
    header, rows = ["what", "how much"], [[f"thing {number}", f"{number % 7}.5 %"] for number in range(20)]
    parts = [Table("Long", header, rows), Table("Short", header, rows[:5])]
    page = Page("Tables", "Two of them.", [Section("tables", "Tables", [], parts)])
    tab = open_page(write_page(page, [], tmp_path / "page.html", Cache()))
    box = tab.page.get_by_role("searchbox")
    assert box.count() == 1
    box.fill("THING 3.5")
    assert column(tab, "figure.table >> nth=0 >>", 0) == [name for name, value in rows if "3.5" in value]
    assert tab.page.get_by_role("status").inner_text() == "3 of 20 rows"
    box.fill("")
    assert len(column(tab, "figure.table >> nth=0 >>", 0)) == 20
    assert tab.said == []


def test_a_command_is_copied(browser: Any, tiny_report: sim.Report) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], offline=True)
    page = context.new_page()
    page.goto((tiny_report.folder / PAGE_FILE).as_uri())
    page.locator("html[data-ready=yes]").wait_for(state="attached")
    button = page.locator("button.copy").first
    button.click()
    page.locator("button.copy[data-done]").wait_for()
    worst = tiny_report.clients.query("adapter == 'iciia-16'").sort_values(["accuracy", "client"]).client.iloc[0]
    assert button.get_attribute("data-copy") == f"iciia look {tiny_report.folder} --client {worst}"
    if button.get_attribute("data-done") == "copied":
        assert page.evaluate("navigator.clipboard.readText()") == button.get_attribute("data-copy")
    else:
        assert page.evaluate("getSelection().toString()") == button.get_attribute("data-copy")
    context.close()


def test_it_can_be_printed(open_page: Callable[..., Tab], tiny_report: sim.Report) -> None:
    """On white whatever the reader's scheme, whole tables, and nothing that only a screen can use."""
    tab = open_page(tiny_report.folder / PAGE_FILE, "desktop", "dark")
    tab.page.emulate_media(media="print")
    background = tab.page.locator("body").evaluate("element => getComputedStyle(element).backgroundColor")
    assert background == BACKGROUND["light"]
    for hidden in ("nav", "details.data", ".plot details"):
        assert not tab.page.locator(hidden).first.is_visible()
    assert (
        tab.page.locator("figure.table .scroll").first.evaluate("element => getComputedStyle(element).maxHeight")
        == "none"
    )
    assert len(tab.page.pdf()) > 50_000
