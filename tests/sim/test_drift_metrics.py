"""Drop and recovery: by hand, from the events of a run, and what noise alone makes of them."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim
from sim.report.drift_metrics import Metrics, client_drops, curve_metrics

Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ([1, 1, 0, 0.5, 1, 1], Metrics(1.0, 0.25, 0.75, 2)),
        ([1, 1, 1, 1, 1, 1], Metrics(1.0, 1.0, 0.0, 0)),
        ([1, 1, 1, 1, 0, 0], Metrics(1.0, 0.0, 1.0, None)),
        ([1, 1, 1, 0.8, 1, 1], Metrics(1.0, 0.9, pytest.approx(0.1), 0)),
        ([0.5, 0.5, 1, 0, 0, 1], Metrics(0.5, 0.0, 0.5, 2)),
    ],
)
def test_curves_by_hand(accuracy: list[float], expected: Metrics) -> None:
    """Windows of 2, 200 images at each offset."""
    images = np.full(6, 200.0)
    assert curve_metrics(images, images * accuracy, 2) == expected


def test_a_curve_is_cut_where_nothing_is_known() -> None:
    """The last offset has no images: only two windows are left, and neither is back."""
    images = np.array([9.0, 9, 9, 9, 9, 0])
    assert curve_metrics(images, images * [1, 1, 0, 0.5, 1, 0], 2) == Metrics(1.0, 0.25, 0.75, None)
    assert curve_metrics(np.array([0.0, 0, 9, 9]), np.ones(4), 2) == Metrics()
    assert curve_metrics(np.array([9.0, 9, 9, 0]), np.array([9.0, 9, 9, 0]), 2) == Metrics(1.0)


def test_drops_of_single_clients_by_hand() -> None:
    correct = np.array([[[1, 1, 0, 0, 1, 1, 1, 1]]], dtype=bool)
    points = np.array([0, 0]), np.array([2, 4])
    assert client_drops(correct, *points, window=2, horizon=4).tolist() == [[1.0, -1.0]]


def test_noise_alone_drops_and_the_placebo_says_so() -> None:
    """A steady 85 %: single clients with windows of 10 in a horizon of 100 drop by some 20 points on average, the pooled curve by
    next to nothing. The mean of 5,000 drops has a standard error below 0.003, a window of the pooled curve one of 0.0016: every
    bound is nine of them away or more, so this fails for less than one seed in a million."""
    correct = np.random.default_rng(0).random((1, 5000, 200)) < 0.85
    row, step = np.arange(5000), np.full(5000, 50)
    assert 0.15 < client_drops(correct, row, step, 10, 100).mean() < 0.30
    curve = correct[0, :, 40:150].sum(axis=0).astype(float)
    metrics = curve_metrics(np.full(110, 5000.0), curve, 10)
    assert metrics.drop is not None
    assert metrics.drop < 0.02
    assert metrics.recovery == 0


@pytest.fixture(scope="module")
def report(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    settings = tiny(report={"window": 6, "horizon": 12, "events": True})
    settings["clients"] |= {
        "images": 90,
        "drift": {"kind": "sudden", "every": 25, "dwell": "geometric", "layout": "random"},
    }
    return sim.run(settings, out=tmp_path_factory.mktemp("runs") / "r", workers=0, quiet=True)


def test_metrics_follow_from_events(report: sim.Report) -> None:
    """Recomputed in plain loops from the rows of single predictions and the drifts."""
    events = report.events[report.events.adapter == "iciia-16"]
    correct = (events.prediction == events.label).to_numpy().reshape(11, 90)
    drifts = report.drifts[report.drifts.adapter == "iciia-16"].groupby("client").step.apply(list).to_dict()
    drops: dict[str, list[float]] = {"drift": [], "placebo": []}
    points, censored = 0, 0
    for client in range(11):
        edges = [0, *drifts.get(client, []), 90]
        for before, step, after in zip(edges, edges[1:-1], edges[2:], strict=False):
            points += 1
            censored += after - step < 12
            if after - step >= 12 and step - before >= 6:
                drops["drift"].append(_drop(correct[client], step))
        for start, stop in itertools.pairwise(edges):
            if stop - start >= 18:
                drops["placebo"].append(_drop(correct[client], stop - 12))
    assert points > censored > 0
    found = report.drift_metrics[report.drift_metrics.adapter == "iciia-16"].set_index("point")
    assert (found.points["drift"], found.censored["drift"]) == (points, censored)
    assert found.points["placebo"] == len(drops["placebo"]) > 0
    for point, values in drops.items():
        assert found.client_points[point] == len(values)
        assert found.client_drop[point] == pytest.approx(np.mean(values))
    aligned = report.aligned[report.aligned.adapter == "iciia-16"].set_index("offset")
    before = aligned[(aligned.index >= -6) & (aligned.index < 0)].sum()
    assert found.accuracy_before["drift"] == pytest.approx(before.correct / before.images)
    windows = [aligned.loc[o : o + 5].sum() for o in range(7)]
    lowest = min(window.correct / window.images for window in windows)
    assert found["drop"]["drift"] == pytest.approx(before.correct / before.images - lowest)


def _drop(correct: np.ndarray, step: int) -> float:
    windows = [correct[step + o : step + o + 6].mean() for o in range(7)]
    return float(correct[step - 6 : step].mean() - min(windows))


def test_without_a_placebo_no_drop_of_single_clients(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(report={"window": 15, "horizon": 20}, modules={}, adapters=["backbone"])
    metrics = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True).drift_metrics
    assert metrics.points.tolist()[1] == 0
    assert metrics.client_drop.isna().all()
    assert metrics["drop"].notna().tolist() == [True, False]
