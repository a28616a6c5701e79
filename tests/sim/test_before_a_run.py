"""sim.plan and sim.preview: what they say before a run is what the run then does, and they train and write nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim

Make = Callable[..., dict[str, Any]]


def test_a_plan_counts_what_the_run_does(tiny: Make, tmp_path: Path) -> None:
    (plan,) = sim.plan(tiny(), overrides=["clients.count=9"], workers=0)
    report = sim.run(tiny(), overrides=["clients.count=9"], workers=0, out=tmp_path / "r", quiet=True)
    summary = report.summary
    assert (plan.cell, plan.clients, plan.workers) == ("", 9, 0)
    assert plan.images == summary.images.iloc[0] == 9 * 60
    assert plan.adapters == len(summary)
    assert plan.macs == plan.images * summary.macs_per_image.sum()
    assert plan.cohorts == 3  # of four clients each
    assert plan.seconds == pytest.approx(3 * plan.cohort_seconds)
    plan.check()


def test_a_sweep_has_a_plan_for_each_cell(tiny: Make) -> None:
    plans = sim.plan(tiny(), overrides=["clients.images=30,60"], workers=2)
    assert [plan.cell for plan in plans] == ["clients.images=30", "clients.images=60"]
    assert [plan.images for plan in plans] == [330, 660]


def test_a_plan_takes_a_worker_for_each_cpu(tiny: Make) -> None:
    (plan,) = sim.plan(tiny())
    assert plan.workers == len(os.sched_getaffinity(0))


def test_a_preview_shows_what_the_run_shows(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(modules={}, adapters=["backbone"])
    picture = tmp_path / "folder" / "picture.svg"
    found = sim.preview(settings, overrides=["clients.images=40"], clients=3, out=picture, quiet=True)
    report = sim.run(settings, overrides=["clients.images=40"], workers=0, out=tmp_path / "r", quiet=True)
    assert np.array_equal(found.labels, report.events.label.to_numpy().reshape(11, 40)[:3])
    drifts = set(zip(found.drift_clients.tolist(), found.drift_steps.tolist(), strict=True))
    assert drifts == set(zip(report.drifts.client, report.drifts.step, strict=True))
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_nothing_is_trained_or_written(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICIIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    sim.plan(tiny(), workers=0)
    sim.preview(tiny(), quiet=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_bad_input_is_one_clear_error(tiny: Make) -> None:
    for before in (sim.plan, sim.preview):
        with pytest.raises(sim.ScenarioError, match=r"clients\.cout .*did you mean"):
            before(tiny(), overrides=["clients.cout=3"])
    with pytest.raises(ValueError, match="got -1 workers; expected 0 or more"):
        sim.plan(tiny(), workers=-1)
    with pytest.raises(ValueError, match="got 0 clients to show; expected 1 or more"):
        sim.preview(tiny(), clients=0)
    with pytest.raises(ValueError, match=r"got picture\.pdf; expected a name that ends in"):
        sim.preview(tiny(), out="picture.pdf")
