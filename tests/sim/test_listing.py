"""`iciia reports`: every run in a folder is listed with its state, whatever has become of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.engine.folder import write_run
from sim.report.listing import Listed, list_runs
from sim.scenario.file import read
from sim.scenario.validation import validate

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tiny: Make, tiny_report: sim.Report, old_report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in all the states that there are."""
    root = tmp_path_factory.mktemp("listing") / "reports"
    shutil.copytree(tiny_report.folder, root / "deep" / "done")
    shutil.copytree(old_report, root / "old")
    plain = {"adapters": ["backbone", "oracle"], "modules": {}}
    sim.run(tiny(**plain, sweep={"seed": [1, 2]}), out=root / "swept", workers=0, quiet=True)
    sim.run(tiny(**plain), out=root / "part", workers=0, quiet=True, cohorts="0:1")
    shutil.copytree(root / "part", root / "stopped")
    write_run(root / "stopped", validate(read(tiny(**plain))), complete=False)
    shutil.copytree(root / "swept", root / "sweeping")
    for stopped in (root / "sweeping", root / "sweeping" / "cells" / "0002"):
        run = json.loads((stopped / "run.json").read_text()) | {"complete": False}
        (stopped / "run.json").write_text(json.dumps(run))
    for name in ("torn", "newer", "emptied", "shredded"):
        shutil.copytree(root / "part", root / name)
    (root / "torn" / "run.json").write_text('{"complete": tr')
    newer = json.loads((root / "newer" / "run.json").read_text()) | {"schema_version": 99}
    (root / "newer" / "run.json").write_text(json.dumps(newer))
    (root / "emptied" / "summary.parquet").unlink()
    (root / "shredded" / "summary.parquet").write_bytes(b"PAR1 no more")
    (root / "letters").mkdir()
    return root


@pytest.fixture(scope="module")
def listed(folder: Path) -> dict[str, Listed]:
    return {one.folder.relative_to(folder).as_posix(): one for one in list_runs(folder)}


def test_every_run_has_its_state(listed: dict[str, Listed]) -> None:
    states = {name: one.state for name, one in listed.items()}
    assert {name: state for name, state in states.items() if not state.startswith("broken")} == {
        "deep/done": "finished",
        "old": "finished",
        "swept": "finished, 2 runs",
        "part": "finished in part, 1 of 3 cohorts",
        "stopped": "unfinished, 1 of 3 cohorts",
        "sweeping": "unfinished, 1 runs of a sweep are finished",
    }
    assert states["torn"].startswith("broken: run.json cannot be read (Expecting value")
    assert "schema version 99" in states["newer"]
    assert "has no table 'summary'" in states["emptied"]
    assert states["shredded"].startswith("broken: ")


def test_the_headline_is_the_best_adapter_that_sees_images(listed: dict[str, Listed], tiny_report: sim.Report) -> None:
    done = listed["deep/done"]
    seen = tiny_report.summary.query("sees == 'images' and adapter != 'backbone'").sort_values("gain").iloc[-1]
    assert (done.adapter, done.gain, done.gain_ci_low) == (seen.adapter, seen.gain, seen.gain_ci_low)
    assert done.scenario == "tiny"
    assert done.written == tiny_report.run["written"]
    assert (listed["part"].adapter, listed["part"].gain) == ("", None)


def test_the_command(folder: Path, tmp_path: Path) -> None:
    def reports(*arguments: object) -> str:
        found = CliRunner().invoke(app, ["reports", *map(str, arguments)], catch_exceptions=False)
        assert found.exit_code == 0
        return found.stdout

    lines = reports(folder).splitlines()
    assert lines[0].split("  ")[0] == "run"
    assert len(lines) >= 11
    done = next(line for line in lines if line.startswith("deep/done"))
    assert "tiny" in done
    assert "finished" in done
    dates = [one["written"] for one in json.loads(reports(folder, "--json"))]
    assert dates == sorted(dates, reverse=True)
    assert [one["folder"] for one in json.loads(reports(folder / "part", "--json"))] == [str(folder / "part")]
    assert "holds no runs; iciia run quickstart makes one" in reports(tmp_path)
    with pytest.raises(sim.ReportError, match="no such folder"):
        list_runs(tmp_path / "nowhere")
