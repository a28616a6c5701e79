"""Scores of drift detectors: a stream worked out by hand, controls against draws, and a run whose adapters detect."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import sim
from sim.page.run_page import run_page
from sim.report.around_drifts import Drifts
from sim.report.detections import detection_sums, detections
from sim.report.sums import Sums

Make = Callable[..., dict[str, Any]]


def scored(steps: list[tuple[int, int]], alarms: list[list[int]], lengths: list[int], horizon: int) -> dict[Any, Any]:
    """Rows of one detector by (adapter, detector).

    Args:
        steps: Client and step of each drift.
        alarms: Steps of each client's alarms.
        lengths: Of their streams.
        horizon: In images.
    """
    result = SimpleNamespace(
        plan=SimpleNamespace(severity=np.zeros((len(lengths), 1 + len(steps))), starts=None), lengths=np.array(lengths)
    )
    starts = np.zeros((len(lengths), 1 + len(steps)), dtype=np.int64)
    number = [0] * len(lengths)
    for k, t in steps:
        number[k] += 1
        starts[k, number[k]], result.plan.severity[k, number[k]] = t, 1.0
    result.plan.starts = starts
    raised = np.zeros((len(lengths), max(lengths)), dtype=bool)
    for k, of_client in enumerate(alarms):
        raised[k, of_client] = True
    result.alarms = {"mine": raised}
    result.within = np.arange(max(lengths)) < np.array(lengths)[:, None]
    sums: Sums = {}
    for table, name, key, measure, value in detection_sums(result, Drifts.of(result, 5, horizon)):  # type: ignore[arg-type]
        sums[table, name, key, measure] = float(value)
    return {(one["adapter"], one["detector"]): one for one in detections(sums, ["mine"])}


def test_a_stream_by_hand() -> None:
    """Client 0 drifts at 10 and 30 of 60 images, client 1 at 40 of 50; an alarm detects within 10 images.

    Alarms of client 0 at 5 (false), 12 (2 of 20 images to the next drift), 14 (again: false), 45 (too late: false); of client 1
    at 40 (at once) and 49 (again).
    """
    found = scored([(0, 10), (0, 30), (1, 40)], [[5, 12, 14, 45], [40, 49]], [60, 50], 10)
    mine = found["mine", "itself"]
    assert (mine["drifts"], mine["detected"], mine["alarms"], mine["false_alarms"]) == (3, 2, 6, 4)
    assert mine["recall"] == pytest.approx(2 / 3)
    assert mine["delay"] == pytest.approx((2 / 20 + 0 / 10) / 2)
    assert mine["false_alarms_per_1000"] == pytest.approx(1000 * 4 / 110)
    always, never = found[None, "always"], found[None, "never"]
    assert (always["recall"], always["delay"], always["false_alarms"]) == (1.0, 0.0, 107)
    assert (never["recall"], never["delay"], never["false_alarms"]) == (0.0, None, 0.0)


def test_alarms_beyond_a_streams_end_do_not_count() -> None:
    found = scored([(0, 10)], [[15], [25]], [30, 20], 10)
    assert found["mine", "itself"]["alarms"] == 1


def test_at_random_is_what_draws_get() -> None:
    """Alarms drawn at the same rate: the mean of 4,000 draws is within five standard errors of the stated expectation."""
    rng = np.random.default_rng(0)
    steps, lengths = [(0, 20), (0, 30), (0, 90)], [120]
    detected, delay, alarms = [], [], []
    for _ in range(4000):
        drawn = np.flatnonzero(rng.random(120) < 0.05).tolist()
        row = scored(steps, [drawn], lengths, 25)["mine", "itself"]
        detected.append(row["detected"])
        delay.append(row["detected"] * (row["delay"] or 0.0))
        alarms.append(row["alarms"])
    expected = scored(steps, [[7, 20, 50, 60, 70, 119]], lengths, 25)["mine", "random"]  # 6 of 120: the same rate
    assert abs(np.mean(detected) - expected["detected"]) < 5 * np.std(detected) / np.sqrt(4000)
    assert abs(np.mean(delay) - expected["detected"] * expected["delay"]) < 5 * np.std(delay) / np.sqrt(4000)
    assert abs(np.mean(alarms) - expected["alarms"]) < 5 * np.std(alarms) / np.sqrt(4000)


ADAPTERS = [
    "backbone",
    "superclass_filter",
    {"kind": "iciia", "module": "stream", "bank": {"capacity": 16, "policy": "drift_reset"}},
    {"kind": "iciia", "name": "fifo", "module": "stream", "bank": {"capacity": 16}},
]


def test_a_run_scores_what_detects(tiny: Make, tmp_path: Any) -> None:
    report = sim.run(tiny(adapters=ADAPTERS), out=tmp_path / "run", workers=0, quiet=True)
    found = report.detections
    names = [(None if one != one else one, kind) for one, kind in zip(found.adapter, found.detector, strict=True)]
    assert names == [
        ("superclass_filter", "itself"), ("superclass_filter", "random"), ("iciia-16", "itself"), ("iciia-16", "random"),
        (None, "always"), (None, "never"),
    ]  # fmt: skip
    drifts = report.drifts
    assert set(found.drifts) == {len(drifts[drifts.adapter == "backbone"])}
    assert set(found.images) == {report.summary.images.iloc[0]}
    mine = found.set_index(["adapter", "detector"]).loc[("superclass_filter", "itself")]
    assert 0 < mine.detected <= mine.drifts
    assert mine.false_alarms == mine.alarms - mine.detected
    page, _ = run_page(report)
    captions = [getattr(part, "caption", "") for section in page.sections for part in section.parts]
    assert "Detected drifts" in captions
    assert any("Told beforehand" in caption for caption in captions)


def test_without_detectors_the_table_is_empty(tiny: Make, tmp_path: Any) -> None:
    report = sim.run(tiny(adapters=["backbone"], modules={}), out=tmp_path / "run", workers=0, quiet=True)
    assert report.detections.empty
