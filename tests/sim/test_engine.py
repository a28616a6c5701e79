"""The engine: real Ray, real Parquet; the same tables for any number of workers, after a restart, and on a second run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

import sim
from sim.engine.collector import Collector
from sim.report.schema import SCHEMA_VERSION, TABLES
from sim.report.totals import t_interval

Make = Callable[..., dict[str, Any]]
NAMES = [
    "windows",
    "clients",
    "drifts",
    "summary",
    "overhead",
    "aligned",
    "drift_metrics",
    "classes",
    "calibration",
    "audit",
    "sums",
]


def tables(report: sim.Report) -> dict[str, pd.DataFrame]:
    return {name: report.table(name) for name in NAMES}


def assert_equal(one: sim.Report, other: sim.Report) -> None:
    for name, frame in tables(one).items():
        pd.testing.assert_frame_equal(frame, other.table(name), check_exact=True, obj=name)


@pytest.fixture(scope="module")
def report(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    """A run in the calling process."""
    return sim.run(tiny(), out=tmp_path_factory.mktemp("runs") / "here", workers=0, quiet=True)


def test_one_and_two_workers_equal_none(tiny: Make, report: sim.Report, tmp_path: Path) -> None:
    for workers in (1, 2):
        other = sim.run(tiny(), out=tmp_path / str(workers), workers=workers, quiet=True)
        assert_equal(report, other)


def test_a_second_run_from_nothing_is_equal(
    tiny: Make, report: sim.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICIIA_CACHE", str(tmp_path / "another cache"))
    assert_equal(report, sim.run(tiny(), out=tmp_path / "again", workers=0, quiet=True))


def test_an_interrupted_run_resumes(
    tiny: Make, report: sim.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, added = Collector.add, []

    def interrupted(self: Collector, result: Any) -> Any:
        if len(added) == 2:
            raise KeyboardInterrupt
        added.append(result.cohort)
        return add(self, result)

    monkeypatch.setattr(Collector, "add", interrupted)
    with pytest.raises(sim.Interrupted, match=r"go on with: iciia run SCENARIO --resume"):
        sim.run(tiny(), out=tmp_path / "r", workers=0, quiet=True)
    monkeypatch.setattr(Collector, "add", add)
    with pytest.raises(sim.ReportError, match=r"the run is not finished; finish it with: iciia run SCENARIO --resume"):
        sim.load(tmp_path / "r")
    (tmp_path / "r" / "clients" / ".cohorts-0000002-0000002.parquet.tmp").write_bytes(b"half")
    before = (tmp_path / "r" / "clients" / "cohorts-0000000-0000000.parquet").stat().st_mtime_ns
    resumed = sim.run(tiny(), out=tmp_path / "r", workers=0, resume=True, quiet=True)
    assert_equal(report, resumed)
    assert (tmp_path / "r" / "clients" / "cohorts-0000000-0000000.parquet").stat().st_mtime_ns == before
    assert not list((tmp_path / "r").rglob("*.tmp"))


def test_another_run_is_not_resumed(tiny: Make, report: sim.Report, tmp_path: Path) -> None:
    with pytest.raises(sim.ReportError, match="holds a run with another scenario digest"):
        sim.run(tiny(seed=4), out=report.folder, workers=0, resume=True, quiet=True)
    with pytest.raises(sim.ReportError, match="holds no run that could be resumed"):
        sim.run(tiny(), out=tmp_path / "nothing", workers=0, resume=True, quiet=True)
    with pytest.raises(sim.ReportError, match="is not empty; choose another folder"):
        sim.run(tiny(), out=report.folder, workers=0, quiet=True)


def test_a_folder_that_cannot_be_written(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(sim.RunError, match="the report cannot be written there"):
        sim.run(tiny(), out=tmp_path / "file" / "report", workers=0, quiet=True)


def test_a_bad_scenario_writes_nothing(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(sim.ScenarioError):
        sim.run(tiny(seed=-1), out=tmp_path / "report", workers=0, quiet=True)
    assert list(tmp_path.iterdir()) == []


# --- what the tables say ---


def test_tables_follow_from_events(report: sim.Report) -> None:
    """Every table is recomputed with pandas from the rows of single predictions."""
    events = report.events.assign(correct=lambda e: e.prediction == e.label)
    assert len(events) == 11 * 60 * 5
    pooled = events.groupby("adapter", observed=True).correct.mean()
    summary = report.summary.set_index("adapter")
    assert summary.accuracy.to_dict() == pytest.approx(pooled.to_dict())

    clients = events.groupby(["adapter", "client"], observed=True).correct.mean().unstack(0)
    for name, row in summary.iterrows():
        assert row.accuracy_client_mean == pytest.approx(clients[name].mean())
        gain = clients[name] - clients["backbone"]
        assert row.gain == pytest.approx(gain.mean())
        # an adapter that keeps the backbone's predictions gains nothing anywhere: an interval of no width
        low, high = stats.t.interval(0.95, 10, gain.mean(), stats.sem(gain)) if gain.any() else (0.0, 0.0)
        assert (row.gain_ci_low, row.gain_ci_high) == (pytest.approx(low), pytest.approx(high))

    windows = events.assign(window=events.step // 10).groupby(["adapter", "client", "window"], observed=True).correct
    expected = windows.agg(["count", "sum"])
    found = report.windows.set_index(["adapter", "client", "window"])
    assert (found.images == expected["count"][found.index]).all()
    assert (found.correct == expected["sum"][found.index]).all()
    assert (report.windows.step == report.windows.window * 10).all()

    classes = events.groupby(["adapter", "label"], observed=True).correct.agg(["count", "sum"])
    for row in report.classes.itertuples():
        count, right = classes.loc[(row.adapter, row.class_index)] if row.images else (0, 0)
        assert (row.images, row.correct) == (count, right)


def test_drifts_and_aligned_follow_from_events(report: sim.Report) -> None:
    events = report.events[report.events.adapter == "iciia-3"]
    correct = (events.prediction == events.label).to_numpy().reshape(11, 60)
    drifts = report.drifts[report.drifts.adapter == "iciia-3"]
    aligned = {offset: [0, 0] for offset in range(-10, 20)}
    for client, of_client in drifts.groupby("client"):
        steps = of_client.step.tolist()
        for before, row, after in zip([0, *steps], of_client.itertuples(), [*steps[1:], 60], strict=False):
            start, stop = max(before, row.step - 10), min(after, row.step + 10)
            assert (row.images_before, row.correct_before) == (
                row.step - start,
                correct[client, start : row.step].sum(),
            )
            assert (row.images_after, row.correct_after) == (stop - row.step, correct[client, row.step : stop].sum())
            for step in range(max(before, row.step - 10), min(after, row.step + 20)):
                aligned[step - row.step][0] += 1
                aligned[step - row.step][1] += int(correct[client, step])
    found = report.aligned[report.aligned.adapter == "iciia-3"]
    assert {row.offset: [row.images, row.correct] for row in found.itertuples()} == {
        k: v for k, v in aligned.items() if v[0]
    }


def test_calibration_and_ece(report: sim.Report) -> None:
    events = report.events[report.events.adapter == "backbone"]
    bins = np.minimum((events.confidence * 15).astype(int), 14)
    grouped = events.assign(correct=events.prediction == events.label).groupby(bins)
    off = grouped.apply(lambda part: abs(part.correct.mean() - part.confidence.mean()) * len(part)).sum()
    assert report.summary.ece[0] == pytest.approx(off / len(events), rel=1e-5)
    found = report.calibration[report.calibration.adapter == "backbone"]
    assert found.images.sum() == len(events)


def test_audit_tells_planned_and_drawn(report: sim.Report) -> None:
    audit = report.audit
    shares = audit[audit.measure == "class_share"]
    assert shares.planned.sum() == pytest.approx(1) == shares.drawn.sum()
    label_share = report.events[report.events.adapter == "backbone"].label.value_counts(normalize=True)
    assert shares.drawn.tolist() == pytest.approx([label_share.get(c, 0.0) for c in range(24)])
    single = audit[audit.measure != "class_share"].set_index(["measure", "name"]).drawn
    assert single["repeats_within_largest_bank", ""] == 0
    assert single["images_in_part", "test"] == 24 * 40
    assert single["drifts_per_client", ""] == len(report.drifts) / 5 / 11


def test_repeats_are_counted(tiny: Make, tmp_path: Path) -> None:
    data = {"kind": "synthetic", "classes": 24, "superclasses": 4, "features": 32, "images_per_class": 20}
    clients = tiny()["clients"] | {"sampling": "with_replacement"}
    again = sim.run(
        tiny(data=data, clients=clients, modules={}, adapters=["backbone", "oracle"]),
        out=tmp_path / "r", workers=0, quiet=True,
    )  # fmt: skip
    assert again.audit.set_index("measure").drawn["repeats_within_largest_bank"] == 0  # no bank, nothing within it


def test_the_oracle_helps_and_the_backbone_gains_nothing(report: sim.Report) -> None:
    gain = report.summary.set_index("adapter").gain
    assert gain["backbone"] == 0
    assert gain["oracle"] > 0.02


def test_overhead_is_the_adapters_cost(report: sim.Report) -> None:
    overhead = report.overhead.set_index("adapter")
    assert overhead.macs_module["iciia-3"] == 6 * 2 * 32 * 32 // 4 + 2 * 2 * 4 * 32
    assert overhead.macs_per_image["iciia-3"] == overhead.macs_module["iciia-3"] + 32 * 24
    assert overhead.state_bytes["iciia-3"] == 3 * (2 * 2 * 32 * 4 + 4)
    assert overhead.backbone_macs.isna().all()


def test_files_need_no_help_from_us(report: sim.Report) -> None:
    row = duckdb.sql(
        f"select count(*), sum(correct)::double / sum(images) from '{report.folder}/clients/*.parquet' "
        "where adapter = 'iciia-16'"
    ).fetchall()
    ((clients, accuracy),) = row
    assert clients == 11
    assert accuracy == pytest.approx(report.summary.set_index("adapter").accuracy["iciia-16"])
    for file in report.folder.rglob("*.parquet"):
        metadata = pq.read_schema(file).metadata
        assert metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
        assert json.loads(metadata[b"scenario"])["seed"] == 3 == int(metadata[b"seed"])


def test_columns_are_those_of_the_schema(report: sim.Report) -> None:
    for name, table in TABLES.items():
        assert list(report.table(name).columns) == table.schema.names


def test_t_interval_by_hand() -> None:
    """1, 2, 3: mean 2, deviation 1, t = 4.3027 at 2 degrees of freedom."""
    low, high = t_interval(3, 6.0, 14.0)
    assert (low, high) == (pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-4), pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4))
    assert all(np.isnan(t_interval(1, 2.0, 4.0)))


def test_a_newer_report_is_refused(report: sim.Report, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(report.run | {"schema_version": 99}))
    with pytest.raises(
        sim.ReportError, match=f"schema version 99, and this package reads 1 to {SCHEMA_VERSION}; update"
    ):
        sim.load(tmp_path)
    with pytest.raises(sim.ReportError, match="is not a report"):
        sim.load(tmp_path / "nowhere")
    with pytest.raises(sim.ReportError, match=r"has no table 'sweep'; it has aligned, answers, audit"):
        _ = report.sweep


def test_a_sweep_leaves_one_table_and_resumes(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = tiny(sweep={"seed": [3, 4], "modules.stream.layers": [1, 2]}, cloud={"seed": 9})
    swept["modules"]["stream"]["steps"] = 5
    first = sim.run(swept, out=tmp_path / "sweep", workers=0, quiet=True)
    frame = first.sweep
    assert len(frame) == 4 * 5
    assert list(frame.columns[:3]) == ["seed", "modules.stream.layers", "adapter"]
    cell = sim.load(tmp_path / "sweep" / "cells" / "0002")
    expected = frame[(frame.seed == 3) & (frame["modules.stream.layers"] == 2)].accuracy.tolist()
    assert cell.summary.accuracy.tolist() == expected
    run_file = tmp_path / "sweep" / "cells" / "0001" / "run.json"
    before = run_file.stat().st_mtime_ns
    for file in (tmp_path / "sweep" / "cells" / "0004").glob("*.parquet"):
        file.unlink()
    left = tmp_path / "sweep" / "cells" / "0004" / "run.json"
    left.write_text(json.dumps(json.loads(left.read_text()) | {"complete": False}))
    again = sim.run(swept, out=tmp_path / "sweep", workers=0, resume=True, quiet=True)
    pd.testing.assert_frame_equal(frame, again.sweep, check_exact=True)
    assert run_file.stat().st_mtime_ns == before
