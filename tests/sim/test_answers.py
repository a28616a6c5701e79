"""Answers about banks: recomputed from single predictions, worked out by hand, and equal however the streams are cut."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import sim
from iciia import ICIIA, IciiaAdapter
from iciia.adapters import Chunk
from sim.cohort.staleness import images_since_drift, measure_staleness, subsets_of
from sim.engine.sweep import as_column
from sim.report.answers import worst_decile
from sim.streams.drift import Plan

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def report(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    banks = {"capacity": [0, 3, 16], "diagnostics": True}
    adapters = [
        "backbone",
        {"kind": "iciia", "module": "stream", "bank": banks},
        {"kind": "iciia", "name": "sample", "module": "stream", "bank": banks | {"policy": "reservoir", "storage": "int8"}},
        {"kind": "iciia", "name": "fresh", "module": "stream", "bank": {"policy": {"kind": "decay", "arguments": {"window": 9}}}},
        "oracle",
    ]  # fmt: skip
    return sim.run(tiny(adapters=adapters), out=tmp_path_factory.mktemp("runs") / "r", workers=0, quiet=True)


def test_the_worst_decile_follows_from_the_clients(report: sim.Report) -> None:
    """11 clients: the worst two."""
    answers = report.answers.set_index("adapter")
    for name, rows in report.clients.groupby("adapter", observed=True):
        for column in ("accuracy", "gain"):
            expected = np.sort(rows[column])[:2].mean()
            assert answers.loc[name, f"worst_decile_{column}"] == pytest.approx(expected, abs=1e-6)


def test_frontiers_by_brute_force(report: sim.Report) -> None:
    seen = report.answers[report.answers.sees == "images"]
    for column, cost in (("on_bytes_frontier", "state_bytes"), ("on_macs_frontier", "macs_per_image")):
        for row in seen.itertuples():
            cheaper = seen[seen[cost] < getattr(row, cost)]
            equal = seen[seen[cost] == getattr(row, cost)]
            best = row.accuracy > cheaper.accuracy.max() if len(cheaper) else True
            assert not getattr(row, column) or (best and row.accuracy == equal.accuracy.max())
        assert seen[column].any()
    assert not report.answers[report.answers.sees == "prior"].on_bytes_frontier.any()


def test_the_smallest_good_capacity(report: sim.Report) -> None:
    for _, rows in report.answers.dropna(subset="bank").groupby("bank"):
        chosen = rows[rows.smallest_within_a_point]
        assert len(chosen) == 1
        near = rows[rows.accuracy >= rows.accuracy.max() - 0.01]
        assert chosen.bank_capacity.item() == near.bank_capacity.min()


def test_banks_are_named(report: sim.Report) -> None:
    row = report.answers.set_index("adapter").loc["sample-16"]
    assert (row.bank, row.policy, row.storage, row.bank_capacity) == ("sample", "reservoir", "int8", 16)
    # two layers keep four vectors of 32 bytes and a scale each, and the step of arrival
    assert row.state_bytes == 16 * (4 * (32 + 4) + 4)


def test_int8_hardly_changes_a_score() -> None:
    """Scores in int8 against float32 on the same stream: the root mean square of the difference is below 2 % of the correction's
    own. A bound on arithmetic that is fixed by the seed, not a statistical one."""
    torch.manual_seed(0)
    module = ICIIA(32, 24, layers=2, heads=2, partitions=4)
    torch.nn.init.normal_(module.classifier.weight)
    chunk = Chunk(torch.randn(3, 40, 32), torch.randn(3, 40, 24))
    full, small = (
        adapter.predict(adapter.start(np.arange(3), 0), chunk)[0]
        for adapter in (IciiaAdapter(module, 16), IciiaAdapter(module, 16, torch.int8))
    )
    assert (small - full).square().mean().sqrt() < 0.02 * (full - chunk.logits).square().mean().sqrt()


def test_staleness_is_measured_where_it_was_asked_for(report: sim.Report) -> None:
    stale = report.staleness
    assert set(stale.adapter) == {"iciia-0", "iciia-3", "iciia-16", "sample-0", "sample-3", "sample-16"}
    assert (stale.groupby("adapter").images.sum() == 11 * 60).all()
    rows = stale.set_index(["adapter", "images_since_drift"])
    empty = rows.loc["iciia-0"]
    assert (empty.weight_on_itself == 1).all()
    assert (empty.age_images == 0).all()
    # ten images after a drift a fifo bank of three holds nothing of the old subset
    assert rows.loc[("iciia-3", 10)].bank_weight_on_current_subset == pytest.approx(1, abs=1e-5)
    assert rows.loc[("iciia-3", 10)].age_images < 3
    assert rows.loc[("sample-16", 10)].bank_weight_on_current_subset < 1


def test_staleness_by_hand() -> None:
    """One client, a bank of two, subsets {0} then {1} from step 2 on. Target 3 attends to images 1 (class 0) and 2 (class 1)."""
    adapter = IciiaAdapter(ICIIA(4, 2, heads=1), 2, diagnostics=True)
    adapter.arrivals = torch.tensor([[0, 1, 2, 3]])
    adapter.attention = torch.tensor([[[0.25, 0.25, 0.5, 0.0], [0.0, 0.2, 0.4, 0.4]]])
    priors = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    plan = Plan.of_segments(np.array([[0, 2]]), priors, np.array([[0.0, 1.0]]))
    subsets = subsets_of(plan, 1.0, np.array([0.5, 0.5]))
    met = [np.array([[0, 0]]), np.array([[1, 1]])]
    found = measure_staleness(adapter, 2, np.array([[1, 1]]), met, subsets)
    age, current, itself = found[:, 0]
    assert age == pytest.approx([1.5, (0.2 * 2 + 0.4 * 1) / 0.6])
    assert current == pytest.approx([0.0, 0.4 / 0.6])
    assert itself == pytest.approx([0.5, 0.4])
    assert images_since_drift(plan, np.array([[0, 0, 1, 1]])).tolist() == [[0, 1, 0, 1]]


def test_the_worst_decile_by_hand() -> None:
    assert worst_decile({5: 1, 7: 18, 9: 1}) == 6.0
    assert worst_decile({-3: 1}) == -3.0


def test_a_sweep_over_words_and_numbers_has_words(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(
        sweep={"clients.subset.classes": ["superclass", 3, {"min": 2, "max": 4}]}, modules={}, adapters=["backbone"]
    )
    swept = sim.run(settings, out=tmp_path / "s", workers=0, quiet=True)
    assert swept.sweep["clients.subset.classes"].tolist() == ["superclass", "3", '{"min": 2, "max": 4}']
    assert as_column([1, 2.5, None]) == [1, 2.5, None]
    assert as_column(["a", None, True]) == ["a", None, "true"]


def test_a_sweep_joins_the_answers(tiny: Make, tmp_path: Path) -> None:
    drifts = [{"kind": "none"}, {"kind": "sudden", "every": 20}]
    settings = tiny(sweep={"clients.drift": drifts})
    swept = sim.run(settings, overrides=["seed=3,4"], out=tmp_path / "s", workers=0, quiet=True)
    assert len(swept.answers) == len(swept.sweep) == 2 * 2 * 5
    assert set(swept.answers["clients.drift"]) == {'{"kind": "none"}', '{"kind": "sudden", "every": 20}'}
    assert swept.run["sweep"] == ["clients.drift", "seed"]
    again = sim.run(settings, overrides=["seed=3,4"], out=tmp_path / "s", workers=0, resume=True, quiet=True)
    pd.testing.assert_frame_equal(swept.answers, again.answers, check_exact=True)
