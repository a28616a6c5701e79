"""Comparisons: differences and intervals recomputed from clients, and runs on different streams are not paired."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import sim
from sim.report.compare import Comparison
from sim.report.intervals import welch_interval

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def other(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    """The same streams for fewer clients, another module, no events, and an adapter less."""
    settings = tiny(report={"window": 10, "horizon": 20})
    settings["modules"]["stream"]["steps"] = 20
    settings["clients"] |= {"count": 9, "cohort": 9, "chunk": 20}
    settings["adapters"] = settings["adapters"][:2]
    return sim.run(settings, out=tmp_path_factory.mktemp("runs") / "other", workers=0, quiet=True)


@pytest.fixture(scope="module")
def found(tiny_report: sim.Report, other: sim.Report) -> Comparison:
    return sim.compare(tiny_report.folder, other.folder)


def test_paired_differences_follow_from_clients(found: Comparison, tiny_report: sim.Report, other: sim.Report) -> None:
    assert found.paired
    assert found.table.adapter.tolist() == ["backbone", "iciia-0", "iciia-3", "iciia-16"]
    for row in found.table.itertuples():
        one, two = (
            report.clients[report.clients.adapter == row.adapter].set_index("client").accuracy
            for report in (tiny_report, other)
        )
        difference = (two - one).dropna()
        assert row.clients == len(difference) == 9
        assert row.difference == pytest.approx(difference.mean())
        assert (row.clients_better, row.clients_worse) == ((difference > 0).sum(), (difference < 0).sum())
        assert row.clients_equal == (difference == 0).sum()
        if difference.any():
            low, high = stats.t.interval(0.95, 8, difference.mean(), stats.sem(difference))
            assert (row.difference_ci_low, row.difference_ci_high) == (pytest.approx(low), pytest.approx(high))
        else:
            assert row.difference_ci_low == row.difference_ci_high == 0
    assert found.table.set_index("adapter").difference["backbone"] == 0


def test_what_differs_is_told(found: Comparison, tiny_report: sim.Report, other: sim.Report) -> None:
    settings = found.settings.set_index("setting")
    assert settings.loc["modules.stream.steps"].tolist() == ["60", "20"]
    assert set(settings.index) == {
        "modules.stream.steps", "clients.count", "clients.cohort", "clients.chunk", "adapters", "report.events",
    }  # fmt: skip
    assert found.missing == {"oracle": [str(tiny_report.folder)]}


def test_other_streams_are_refused_unless_told(tiny: Make, tiny_report: sim.Report, tmp_path: Path) -> None:
    settings = tiny(modules={}, adapters=["backbone", "oracle"], seed=4)
    settings["clients"] |= {"images": 40}
    later = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    with pytest.raises(
        sim.ReportError, match=r"its streams are not those of .* \(seed: 3 and 4; .*clients.images: 60 and 40"
    ):
        sim.compare(tiny_report.folder, later.folder)
    found = sim.compare(tiny_report.folder, later.folder, unpaired=True)
    assert not found.paired
    one, two = (
        report.clients[report.clients.adapter == "oracle"].accuracy.to_numpy() for report in (tiny_report, later)
    )
    row = found.table.set_index("adapter").loc["oracle"]
    expected = stats.ttest_ind(two, one, equal_var=False).confidence_interval(0.95)
    assert (row.difference_ci_low, row.difference_ci_high) == (
        pytest.approx(expected.low),
        pytest.approx(expected.high),
    )
    assert row.difference == pytest.approx(two.mean() - one.mean())
    assert row.clients_better is None or np.isnan(row.clients_better)


def test_an_old_report_can_be_compared(tiny_report: sim.Report, old_report: Path) -> None:
    """It has five of the same clients, on the same streams."""
    found = sim.compare(tiny_report.folder, old_report)
    assert found.paired
    assert set(found.table.clients) == {5}
    assert found.table.set_index("adapter").difference["backbone"] == 0


def test_what_cannot_be_compared(tiny_report: sim.Report, tmp_path: Path) -> None:
    with pytest.raises(sim.ReportError, match="got one folder; expected two or more"):
        sim.compare(tiny_report.folder)
    with pytest.raises(sim.ReportError, match="is not a report"):
        sim.compare(tiny_report.folder, tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(tiny_report.run | {"sweep": ["seed"]}))
    with pytest.raises(sim.ReportError, match=r"is a sweep; compare its runs, such as .*cells/0001"):
        sim.compare(tiny_report.folder, tmp_path)


def test_welch_by_hand() -> None:
    """1, 2, 3 and 2, 4, 6: variances 1 and 4 over 3 clients each, so t of 2.94 degrees of freedom times the root of 5/3."""
    freedom = (5 / 3) ** 2 / (1 / 18 + 16 / 18)
    reach = stats.t.ppf(0.975, freedom) * (5 / 3) ** 0.5
    low, high = welch_interval(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    assert (low, high) == (pytest.approx(2 - reach), pytest.approx(2 + reach))
    assert welch_interval(np.array([1.0, 1.0]), np.array([3.0, 3.0])) == (2.0, 2.0)
    assert all(np.isnan(welch_interval(np.array([1.0]), np.array([1.0, 2.0]))))
