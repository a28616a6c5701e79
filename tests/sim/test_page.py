"""The page of a report: what charts draw is recomputed from the tables, and what they draw can be told apart."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sim
from sim.cache import Cache
from sim.page import PAGE_FILE, page_of, write_report
from sim.page.aggregates import MOST_WINDOWS, QUANTILES, clients, drift_steps, over_stream
from sim.page.headline import best_adapter
from sim.page.parts import Chart, Page, Table, interval, percent, points, size, whole
from sim.page.recovery import recovery_text
from sim.page.theme import HUES, MOST_SHOWN, PAPER, PARTNERS, Style, specification, styles

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def page(tiny_report: sim.Report) -> Page:
    return page_of(tiny_report)[0]


def chart(page: Page, name: str) -> Chart:
    return next(one for one in page.charts() if one.name == name)


def table(page: Page, caption: str) -> Table:
    tables = [part for section in page.sections for part in section.parts if isinstance(part, Table)]
    return next(one for one in tables if one.caption == caption)


def test_every_run_leaves_a_page(tiny_report: sim.Report, page: Page) -> None:
    text = (tiny_report.folder / PAGE_FILE).read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert [section.name for section in page.sections] == [
        "gains", "stream", "drift", "capacity", "frontier", "clients", "streams", "metrics", "overhead", "provenance",
    ]  # fmt: skip
    assert [one.name for one in page.charts()] == [
        "gain", "stream", "recovery", "capacity", "frontier_bytes", "frontier_macs", "clients_accuracy", "clients_gain", "audit",
        "calibration",
    ]  # fmt: skip
    assert "11 clients see 60 images each, of 24 classes (synthetic)" in page.lead
    assert "Drift: sudden (every 20, dwell fixed, layout staggered)" in page.lead


def test_a_page_is_the_same_again(tiny_report: sim.Report, tmp_path: Path) -> None:
    before = (tiny_report.folder / PAGE_FILE).read_bytes()
    page_of(tiny_report)  # charts that were made before leave no trace
    written, files = write_report(sim.load(tiny_report.folder), Cache())
    assert (written, files) == (tiny_report.folder / PAGE_FILE, [])
    assert written.read_bytes() == before


# --- what is drawn ---


def test_accuracy_over_the_stream(tiny_report: sim.Report, page: Page) -> None:
    windows = tiny_report.windows.groupby(["adapter", "step"], observed=True)[["images", "correct"]].sum()
    found = chart(page, "stream").data.set_index(["adapter", "first"])
    assert len(found) == len(windows) == 5 * 6
    for key, row in windows.iterrows():
        assert found.accuracy[key] == pytest.approx(row.correct / row.images)
        assert found.clients[key] == 11
        assert found["last"][key] == key[1] + 9


def test_long_streams_are_drawn_in_wider_windows(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(modules={}, adapters=["backbone"], report={"window": 2, "horizon": 4})
    settings["clients"] |= {"images": 2 * MOST_WINDOWS + 30, "count": 2, "sampling": "with_replacement"}
    report = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    found = over_stream(report)
    assert len(found) <= MOST_WINDOWS
    assert found.images.sum() == 2 * (2 * MOST_WINDOWS + 30)
    assert found.correct.sum() == report.clients.correct.sum()
    assert (found["first"].iloc[1:].to_numpy() == found["last"].iloc[:-1].to_numpy() + 1).all()


def test_drift_marks(tiny_report: sim.Report) -> None:
    drifts = tiny_report.drifts[tiny_report.drifts.adapter == "backbone"].step.value_counts().sort_index()
    found = drift_steps(tiny_report)
    assert found.set_index("step").clients.to_dict() == drifts.to_dict()
    assert found.share.tolist() == pytest.approx((drifts / 11).tolist())


def test_recovery_is_aligned_and_never_pooled_across_the_drift(tiny_report: sim.Report, page: Page) -> None:
    found = chart(page, "recovery").data
    aligned = tiny_report.aligned
    assert found.images.sum() == aligned.images.sum()
    assert 0 in set(found["first"])
    one = found[(found.adapter == "iciia-3") & (found["first"] == 0)].iloc[0]
    width = int(np.diff(sorted(set(found["first"])))[0])
    rows = aligned[(aligned.adapter == "iciia-3") & aligned.offset.between(0, width - 1)]
    assert one.accuracy == pytest.approx(rows.correct.sum() / rows.images.sum())


def test_clients_differ_as_their_table_says(tiny_report: sim.Report) -> None:
    found = clients(tiny_report, "iciia-16")
    rows = tiny_report.clients
    for (name, measure), part in found.quantiles.groupby(["adapter", "measure"]):
        values = rows[rows.adapter == name][measure]
        expected = np.quantile(values, QUANTILES, method="inverted_cdf")
        assert part.value.tolist() == pytest.approx(expected.tolist(), abs=5.1e-4)
    for name, share in found.below.items():
        assert share == pytest.approx((rows[rows.adapter == name].gain < 0).mean())
    worst = rows[rows.adapter == "iciia-16"].sort_values(["accuracy", "client"]).head(10)
    assert found.worst.client.tolist() == worst.client.tolist()


def test_frontiers_are_those_of_answers(tiny_report: sim.Report, page: Page) -> None:
    for name, column in (("frontier_bytes", "on_bytes_frontier"), ("frontier_macs", "on_macs_frontier")):
        found = chart(page, name).data
        assert set(found.adapter) == set(tiny_report.answers[tiny_report.answers.sees == "images"].adapter)
        on = tiny_report.answers.set_index("adapter")[column]
        assert found.set_index("adapter").on_frontier.to_dict() == on[found.adapter].to_dict()


def test_capacity_tells_all_before_and_after(tiny_report: sim.Report, page: Page) -> None:
    found = chart(page, "capacity").data.set_index(["when", "capacity"])
    summary = tiny_report.summary.set_index("adapter")
    assert found.gain_points["all images", 16] == pytest.approx(100 * summary.gain["iciia-16"])
    after = summary.accuracy_after_drift
    assert found.gain_points["after a drift", 16] == pytest.approx(100 * (after["iciia-16"] - after["backbone"]))


def test_tables_say_what_the_report_says(tiny_report: sim.Report, page: Page) -> None:
    row = tiny_report.summary.iloc[3]
    shown = table(page, "All adapters").rows[3]
    assert shown[:4] == ["iciia-16", "images", "superclasses", f"{100 * row.accuracy:.1f} %"]
    assert shown[5] == f"{100 * row.gain:+.1f} [{100 * row.gain_ci_low:+.1f}, {100 * row.gain_ci_high:+.1f}]"
    answer = tiny_report.answers.iloc[3]
    assert table(page, "The worst tenth of the clients").rows[3][4] == f"{100 * answer.worst_decile_gain:+.1f}"
    assert table(page, "On the device").rows[3][1] == f"{row.macs_per_image:,}"
    facts = dict(table(page, "Facts").rows)
    assert facts["scenario digest"] == tiny_report.run["scenario_digest"]
    assert facts["seed"] == "3"


def test_the_scenario_on_the_page_runs_again(tiny_report: sim.Report, page: Page, tmp_path: Path) -> None:
    code = page.sections[-1].parts[1]
    (tmp_path / "tiny.yaml").write_text(code.text, encoding="utf-8")  # type: ignore[union-attr]
    again = sim.run(tmp_path / "tiny.yaml", out=tmp_path / "again", workers=0, quiet=True)
    pd.testing.assert_frame_equal(again.summary, tiny_report.summary, check_exact=True)


def test_without_drifts_or_banks_sections_are_left_out(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(modules={}, adapters=["backbone"])
    settings["clients"]["drift"] = {"kind": "none"}
    found = page_of(sim.run(settings, out=tmp_path / "r", workers=0, quiet=True))[0]
    assert [section.name for section in found.sections] == [
        "gains", "stream", "clients", "streams", "metrics", "overhead", "provenance",
    ]  # fmt: skip


def test_columns_that_are_missing_break_nothing(tiny_report: sim.Report) -> None:
    """An adapter that gives a label alone has no probabilities, and one may not be counted."""
    bare = sim.load(tiny_report.folder)
    for frame in (bare.summary, bare.answers, bare.overhead):
        for column in set(frame) & {"nll", "ece", "macs_per_image", "state_bytes", "macs_module", "parameters"}:
            frame[column] = frame[column].astype(float)
            frame.loc[frame.adapter == "iciia-3", column] = np.nan
    bare.calibration.loc[bare.calibration.adapter == "iciia-3", ["confidence", "accuracy"]] = np.nan
    found = page_of(bare)[0]
    assert table(found, "On the device").rows[2][1:] == ["–"] * 5
    assert "iciia-3" not in set(chart(found, "frontier_macs").data.adapter)
    assert "iciia-3" not in set(chart(found, "calibration").data.adapter)


def test_without_time_nothing_is_called_a_stream(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(protocol="leave_one_out", modules={}, adapters=["backbone", "oracle"])
    settings["clients"]["drift"] = {"kind": "none"}
    found = page_of(sim.run(settings, out=tmp_path / "r", workers=0, quiet=True))[0]
    assert chart(found, "stream").title == "Accuracy by position"
    assert "There is no time in it." in found.lead


def test_an_old_report_has_a_page(old_report: Path) -> None:
    found = page_of(sim.load(old_report))[0]
    assert len(found.charts()) == 10
    assert "Protocol: predict, score, then remember." in found.lead


def test_charts_are_sound_vega_lite(page: Page) -> None:
    for one in page.charts():
        assert specification(one.spec, validate=True) == specification(one.spec)


# --- files ---


def test_one_bundle_and_nothing_from_outside(tiny_report: sim.Report) -> None:
    text = (tiny_report.folder / PAGE_FILE).read_text(encoding="utf-8")
    assert text.count("window.vegaEmbed=") == 1
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", markup)
    specs = json.loads(text.split('id="specs">')[1].split("</script>")[0])
    assert not [value for value in _strings(specs) if value.startswith("http") and "schema/vega-lite" not in value]


def _strings(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return list(itertools.chain.from_iterable(map(_strings, tree.values())))
    if isinstance(tree, list):
        return list(itertools.chain.from_iterable(map(_strings, tree)))
    return [tree] if isinstance(tree, str) else []


def test_text_is_escaped(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(modules={}, adapters=["backbone"])
    report = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    report.run["name"] = "<script>alert(1)</script>"
    report.classes["class_name"] = "</script>"
    report.audit["name"] = "</script><b>"
    text = write_report(report, Cache())[0].read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    assert "</script><b>" not in text


def test_size_does_not_grow_with_clients(tiny: Make, tmp_path: Path) -> None:
    sizes = []
    for count in (100, 4000):
        settings = tiny(modules={}, adapters=["backbone", "oracle"], report={"window": 10, "horizon": 10})
        settings["clients"] |= {"count": count, "images": 20, "cohort": 1000, "drift": {"kind": "sudden", "every": 10}}
        report = sim.run(settings, out=tmp_path / str(count), workers=0, quiet=True)
        sizes.append((report.folder / PAGE_FILE).stat().st_size)
    assert max(sizes) < 5e6
    assert abs(sizes[1] - sizes[0]) < 20_000


def test_figures(tiny_report: sim.Report, page: Page, tmp_path: Path) -> None:
    _, files = write_report(sim.load(tiny_report.folder), Cache(), tmp_path / "figures")
    assert sorted(path.name for path in files) == sorted(
        f"{one.name}{suffix}" for one in page.charts() for suffix in (".svg", ".png", ".csv")
    )
    for one in page.charts():
        svg = (tmp_path / "figures" / f"{one.name}.svg").read_text(encoding="utf-8")
        assert svg.startswith("<svg")
        assert one.title in svg
        with Image.open(tmp_path / "figures" / f"{one.name}.png") as picture:
            assert picture.width >= 2400
            assert round(picture.info["dpi"][0]) == 300
        drawn = pd.read_csv(tmp_path / "figures" / f"{one.name}.csv")
        pd.testing.assert_frame_equal(drawn, one.data.reset_index(drop=True), check_dtype=False)


def test_a_page_that_cannot_be_written(tiny_report: sim.Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(sim.ReportError, match="figures cannot be written there"):
        write_report(sim.load(tiny_report.folder), Cache(), tmp_path / "file" / "figures")


# --- how adapters look ---


def answers_of(banks: int, capacities: int, references: int = 2) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [{"adapter": "backbone", "sees": "images"}, {"adapter": "knn", "sees": "images"}]
    rows += [
        {
            "adapter": f"b{bank}-{2**n}", "bank": f"b{bank}", "bank_capacity": 2**n, "sees": "images",
            "smallest_within_a_point": n == capacities - 1,
        }
        for bank in range(banks)
        for n in range(capacities)
    ]  # fmt: skip
    rows += [{"adapter": f"told-{n}", "sees": "prior"} for n in range(references)]
    columns = ["adapter", "bank", "bank_capacity", "sees", "smallest_within_a_point"]
    return pd.DataFrame(rows, columns=columns).assign(accuracy=np.linspace(0.5, 0.9, len(rows)))


@pytest.mark.parametrize(("banks", "capacities"), [(1, 5), (4, 11), (7, 3), (0, 0), (11, 2)])
def test_what_is_shown_can_be_told_apart(banks: int, capacities: int) -> None:
    found = styles(answers_of(banks, capacities))
    shown = [style for style in found if style.shown]
    assert 2 <= len(shown) <= MOST_SHOWN
    assert shown[0].adapter == "backbone"
    assert any(style.adapter.startswith("told") for style in shown)
    for one, other in itertools.combinations(shown, 2):
        assert (one.colour, one.dash, one.mark) != (other.colour, other.dash, other.mark)
        # in grey: by lightness, dash or mark
        lightness = abs(luminance(one.colour) - luminance(other.colour))
        assert lightness > 0.03 or one.dash != other.dash or one.mark != other.mark


def test_everything_drawn_has_contrast_in_light_and_dark() -> None:
    def sound(style: Style) -> bool:
        return contrast(style.colour, PAPER) >= 3 and contrast(style.dark, PARTNERS[PAPER]) >= 3

    for banks in range(1, len(HUES) + 1):
        assert all(map(sound, styles(answers_of(banks, 6))))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_words() -> None:
    assert points(0.1138) == "+11.4"
    assert percent(0.7844) == "78.4 %"
    assert interval(0.107, 0.116) == "[+10.7, +11.6]"
    assert [size(value) for value in (0, 999, 65600, 2.1e6, 3e9)] == ["0 B", "999 B", "65.6 kB", "2.1 MB", "3.0 GB"]
    assert whole(1234.0) == "1,234"
    assert [recovery_text(*pair) for pair in ((0.0, 0.1), (np.nan, 0.1), (np.nan, np.nan))] == ["0", "not within", "–"]
    assert {points(None), percent(float("nan")), whole(None), size(None)} == {"–"}


def test_the_best_adapter_sees_images_alone(tiny_report: sim.Report) -> None:
    summary = tiny_report.summary
    best = best_adapter(tiny_report)
    assert best.startswith("iciia")
    assert summary.set_index("adapter").gain[best] == summary[summary.sees == "images"].gain.max()
