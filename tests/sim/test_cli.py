"""The command line as a person or a script meets it: real processes, their output and their exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import sim
from sim.scenario import Scenario

Make = Callable[..., dict[str, Any]]


def iciia(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim.cli", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


@pytest.fixture
def scenario_file(tiny: Make, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    YAML().dump(tiny(), path)
    return path


def test_run_ends_in_a_table_and_a_folder(scenario_file: Path, tmp_path: Path) -> None:
    # a training of its own, so that there is one to be seen
    sets = ("--set", "clients.count=6", "--set", "cloud.seed=77")
    done = iciia("run", scenario_file, *sets, "--out", tmp_path / "out", "--workers", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.rstrip().splitlines()
    assert lines[-1] == f"report: {tmp_path / 'out'}"
    summary = sim.load(tmp_path / "out").summary
    assert summary.clients.tolist() == [6] * 5
    shown = lines[-1 - len(summary) : -1]
    for line, row in zip(shown, summary.itertuples(), strict=True):
        assert line.split()[:2] == [row.adapter, f"{100 * row.accuracy:.1f}"]
        assert f" {100 * row.gain:+.1f} [" in line
    stages = dict.fromkeys(line.split(":")[0] for line in done.stderr.splitlines())  # a slow one has a line a minute
    assert list(stages) == ["training module stream", "simulating clients"]


def test_quiet_is_quiet(scenario_file: Path, tmp_path: Path) -> None:
    done = iciia("run", scenario_file, "--out", tmp_path / "out", "--workers", "0", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_validate(scenario_file: Path) -> None:
    assert iciia("validate", scenario_file, "quickstart").stdout == f"{scenario_file}: ok\nquickstart: ok\n"
    bad = iciia("validate", "quickstart", scenario_file, "--set", "clients.cout=3")
    assert bad.returncode == 2
    assert bad.stdout == ""
    assert bad.stderr.count('unknown key; did you mean "count"?') == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "nowhere.yaml"], 2, "nowhere.yaml: 1 problem\n  file  no such file"),
        (["run", "quickstart", "--set", "seed=x"], 2, 'got "x"; expected an integer'),
        (["run", "quickstart", "--resume", "nowhere"], 2, "holds no run that could be resumed"),
        (["run", "digits", "--out", "/dev/null/x"], 1, "the report cannot be written there"),
    ],
)
def test_errors_are_short(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    done = iciia(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_schema_is_that_of_the_scenario() -> None:
    found = json.loads(iciia("schema").stdout)
    assert found == Scenario.model_json_schema()
    assert found["properties"]["clients"]["description"] == "Who the clients are."


def test_cache_commands() -> None:
    assert " artifacts, " in iciia("cache", "ls").stdout
    assert iciia("cache", "prune", "--unused-days", "1000").stdout.startswith("deleted 0 artifacts")


def test_plan_counts_and_refuses(scenario_file: Path) -> None:
    done = iciia("plan", scenario_file, "--workers", "2")
    assert done.returncode == 0, done.stderr
    found = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert found["clients"].strip() == "11"
    assert found["images"].strip() == "660, each predicted by 5 adapters"
    assert found["workers"].strip() == "2"
    macs = sum(
        row.macs_per_image
        for row in sim.run(scenario_file, workers=0, quiet=True, out=scenario_file.parent / "r").summary.itertuples()
    )
    assert found["adapters' MACs"].strip() == f"{660 * macs:.3e}"
    swept = iciia("plan", scenario_file, "--set", "seed=3,4")
    assert swept.stdout.count("adapters' MACs") == 2
    refused = iciia("plan", scenario_file, "--set", "clients.cohort=1000000")
    assert refused.returncode == 1
    assert "of memory, and" in refused.stderr
    assert "lower --workers" in refused.stderr


def test_replay_tells_a_clients_accuracy(scenario_file: Path, tmp_path: Path) -> None:
    report = sim.run(scenario_file, out=tmp_path / "r", workers=0, quiet=True)
    done = iciia("replay", tmp_path / "r", "--client", "7", "--out", tmp_path / "events.csv")
    assert done.returncode == 0, done.stderr
    one = report.clients[(report.clients.client == 7) & (report.clients.adapter == "iciia-16")].iloc[0]
    assert f"client 7  iciia-16         {one.correct:.0f} of 60 right" in done.stdout
    assert len((tmp_path / "events.csv").read_text().splitlines()) == 1 + 5 * 60
    missing = iciia("replay", tmp_path / "nowhere", "--client", "7")
    assert (missing.returncode, "Traceback" in missing.stderr) == (2, False)
