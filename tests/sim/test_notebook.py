"""Reports in notebooks: what they show of themselves, and the charts of their pages to work on."""

import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import pytest

import sim
from sim.page import page_of


def test_every_chart_of_the_page_is_there_as_altair_has_it(tiny_report: sim.Report) -> None:
    drawn = {chart.name: chart for chart in page_of(tiny_report)[0].charts()}
    assert list(tiny_report.plot) == list(drawn)
    assert dir(tiny_report.plot) == sorted(drawn)
    assert {"gain", "stream", "recovery", "capacity", "calibration"} <= set(drawn)
    for name, chart in drawn.items():
        found = getattr(tiny_report.plot, name)()
        assert isinstance(found, alt.TopLevelMixin)
        written = found.to_dict()
        assert written["title"] == chart.title
        assert f"{name}()" in repr(tiny_report.plot)
    gain = tiny_report.plot.gain()
    rows = [row for data in gain.to_dict()["datasets"].values() for row in data if "gain_points" in row]
    summary = tiny_report.summary.set_index("adapter").gain
    assert {row["adapter"]: pytest.approx(row["gain_points"] / 100, abs=1e-7) for row in rows} == summary.to_dict()
    assert gain.properties(width=300, title="Mine").to_dict()["title"] == "Mine"


def test_a_chart_of_more_rows_than_altair_allows_is_drawn(tiny_report: sim.Report) -> None:
    with alt.data_transformers.enable("default", max_rows=3):
        assert tiny_report.plot.stream().to_dict()


def test_a_chart_that_is_not_there_is_named(tiny_report: sim.Report) -> None:
    with pytest.raises(AttributeError, match=r"has no chart 'gains'; it has gain, stream"):
        tiny_report.plot.gains  # noqa: B018


def test_what_a_notebook_shows(tiny_report: sim.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_report.folder.parent)
    html = tiny_report._repr_html_()
    named = tiny_report.summary.sort_values("gain").adapter[lambda names: names != "oracle"].iloc[-1]
    assert f"gain of {named} over the backbone" in html
    assert "<svg" in html
    assert 'href="report/report.html"' in html
    assert "<script" not in html
    xml.etree.ElementTree.fromstring(html.replace("<br>", "<br/>"))


def test_a_sweep_shows_its_runs(tiny: Callable[..., Any], tmp_path: Path) -> None:
    swept = tiny(adapters=["backbone", "oracle"], modules={}, sweep={"clients.images": [24, 32]})
    report = sim.run(swept, out=tmp_path / "r", workers=0, quiet=True)
    assert "2 runs of 2 adapters" in report._repr_html_()
    assert "Gain by run" in report.plot.gain().to_dict()["title"]


def test_loading_a_report_imports_no_charts(tiny_report: sim.Report) -> None:
    code = (
        f"import sys, sim; report = sim.load({str(tiny_report.folder)!r}); report.summary; before = 'altair' in sys.modules\n"
        "report._repr_html_(); print(before, 'altair' in sys.modules, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["False", "True", "False"]
