"""The command line as a person or a script meets it: real processes, their output and their exit codes."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.scenario.scenario import Scenario

Make = Callable[..., dict[str, Any]]


def iciia(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim.cli", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "COLUMNS": "200", **environment},
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
    assert lines[-2:] == [f"report: {tmp_path / 'out'}", f"page: {tmp_path / 'out' / 'report.html'}"]
    summary = sim.load(tmp_path / "out").summary
    assert summary.clients.tolist() == [6] * 5
    assert "drop, points  recovery, images" in lines[0]
    shown = lines[-2 - len(summary) : -2]
    for line, row in zip(shown, summary.itertuples(), strict=True):
        assert line.split()[:2] == [row.adapter, f"{100 * row.accuracy:.1f}"]
        assert f" {100 * row.gain:+.1f} [" in line
    assert not {"\x1b", "\r"} & set(done.stderr)  # there is no terminal: lines, and no bar
    stages = dict.fromkeys(line.split(":")[0] for line in done.stderr.splitlines())  # a slow one has a line a minute
    assert list(stages) == ["training module stream", "simulating clients"]


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


# --- for scripts ---


def test_a_run_is_quiet_and_json(scenario_file: Path, tmp_path: Path) -> None:
    done = iciia(
        "run", scenario_file, "--out", tmp_path / "out", "--workers", "0", "--quiet", "--json", "--log", "tensorboard"
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["page"] == str(tmp_path / "out" / "report.html")
    summary = sim.load(found["folder"]).summary
    assert [row["adapter"] for row in found["summary"]] == summary.adapter.tolist()
    assert [row["gain"] for row in found["summary"]] == pytest.approx(summary.gain.tolist(), abs=1e-12)
    assert found["summary"][0]["bank_capacity"] is None
    assert list((tmp_path / "out" / "tensorboard").iterdir())


def in_here(*arguments: str | Path) -> Any:
    """What a command prints as JSON, run in this process."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return json.loads(done.stdout)


def test_problems_as_json(scenario_file: Path) -> None:
    found = in_here("validate", scenario_file, "quickstart", "--set", "clients.count=0")
    assert [one["scenario"] for one in found] == [str(scenario_file), "quickstart"]
    assert found[0]["problems"][0]["where"] == "clients.count"


def test_other_commands_as_json(scenario_file: Path, tmp_path: Path, tiny_report: sim.Report) -> None:
    listed = in_here("scenarios")
    lines = CliRunner().invoke(app, ["scenarios"]).stdout.splitlines()
    assert [line.split() for line in lines] == [[name, path] for name, path in listed.items()]
    assert "quickstart" in listed
    assert len({line.rindex(" ") for line in lines}) == 1
    assert isinstance(in_here("cache", "ls"), list)
    (planned,) = in_here("plan", scenario_file, "--workers", "1")
    assert (planned["clients"], planned["images"], planned["adapters"]) == (11, 660, 5)
    found = in_here("preview", scenario_file, "--out", tmp_path / "new folder" / "p.svg")
    assert (tmp_path / "new folder" / "p.svg").is_file()
    assert found["audit"][-1]["measure"] == "class_share"
    one = in_here("replay", tiny_report.folder, "--client", "7")
    assert [row["predictions"] for row in one["adapters"]] == [60] * 5


# --- reports ---


def test_report_and_compare(tiny_report: sim.Report, old_report: Path, tmp_path: Path) -> None:
    done = iciia("report", tiny_report.folder, "--figures", tmp_path / "figures")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"page: {tiny_report.folder / 'report.html'}",
        f"figures: 30 files in {tmp_path / 'figures'}",
    ]
    done = iciia("compare", tiny_report.folder, old_report, "--out", tmp_path / "c.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"page: {tmp_path / 'c.html'}"
    assert (tmp_path / "c.html").is_file()
    assert done.stdout.count("+0.0 [+0.0, +0.0]") >= 2
    found = in_here("compare", tiny_report.folder, old_report, "--out", tmp_path / "c.html")
    assert found["paired"]
    assert found["differences"][0]["clients"] == 5


def test_what_is_there_is_replaced_only_if_it_was_named(
    scenario_file: Path, tiny_report: sim.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = in_here("compare", tiny_report.folder, tiny_report.folder)["page"]
    picture = in_here("preview", scenario_file)["picture"]
    assert re.fullmatch(r"reports/comparison-\d{8}-\d{6}\.html", page)
    assert re.fullmatch(r"reports/tiny-preview-\d{8}-\d{6}\.svg", picture)
    assert sorted(tmp_path.rglob("*.*")) == sorted([scenario_file, tmp_path / page, tmp_path / picture])
    named = tmp_path / "mine.csv"
    named.write_text("mine")
    in_here("replay", tiny_report.folder, "--client", "7", "--out", named)
    assert named.read_text().startswith("client,")
    done = iciia("replay", tiny_report.folder, "--client", "7", "--out", named / "x.csv")
    assert (done.returncode, done.stderr) == (2, f"{named / 'x.csv'}: cannot be written (File exists)\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["report", "nowhere"], 2, "nowhere: is not a report (no readable run.json in it)"),
        (["compare", "one"], 2, "got one folder; expected two or more"),
        (["compare", "one", "two"], 2, "one: is not a report"),
    ],
)
def test_errors_of_reports(arguments: list[str], code: int, message: str) -> None:
    done = iciia(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# --- for people ---


def test_help_has_examples_and_needs_neither_torch_nor_ray() -> None:
    code = "import sys, sim.cli; assert not {'torch', 'ray', 'timm', 'altair'} & set(sys.modules), sorted(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = iciia("--help").stdout
    assert "Begin with: iciia run quickstart" in shown
    assert "Exit codes: 0 done; 1 a run failed; 2 the command" in shown
    for command in ("run", "report", "compare", "replay", "plan", "validate", "preview", "overhead", "export", "bench"):
        options, examples = (
            CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout.split("Examples:")
        )
        assert f"iciia {command} " in examples
        assert [option for option in re.findall(r"--[a-z-]+", examples) if option not in options] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from sim.cli import app; app(prog_name='iciia')"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "_ICIIA_COMPLETE": f"complete_{shell}", **completing(shell, "run quick")},
    )  # fmt: skip
    assert "quickstart" in done.stdout


def completing(shell: str, line: str) -> dict[str, str]:
    words = ["iciia", *line.split()]
    if shell == "bash":
        return {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    return {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"}


def test_colour_on_a_terminal_and_none_with_no_color(tiny_report: sim.Report, old_report: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sim.cli",
        "compare",
        str(tiny_report.folder),
        str(old_report),
        "--out",
        str(tmp_path / "c"),
    ]
    assert "\x1b[1m" in on_a_terminal(command)
    help_page = [sys.executable, "-m", "sim.cli", "--help"]
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    assert colour.search(on_a_terminal(help_page))
    assert not colour.search(on_a_terminal(help_page, NO_COLOR="1"))


def on_a_terminal(command: list[str], **environment: str) -> str:
    """What a command prints on a terminal."""
    master, slave = os.openpty()
    kept = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(
        command, stdout=slave, stderr=slave, env={**kept, "TERM": "xterm-256color", **environment}
    ) as process:
        os.close(slave)
        said = b""
        with contextlib.suppress(OSError):  # the terminal is gone when the process is
            while part := os.read(master, 65536):
                said += part
        assert process.wait() == 0
    os.close(master)
    return said.decode()


def test_a_pipe_that_is_closed_early() -> None:
    done = subprocess.run(
        f"{sys.executable} -m sim.cli scenarios | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


def test_progress_is_a_bar_on_a_terminal(scenario_file: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sim.cli",
        "run",
        str(scenario_file),
        "--workers",
        "0",
        "--out",
        str(tmp_path / "r"),
    ]
    assert "\x1b[?25l" in on_a_terminal(command)  # the cursor is hidden while a bar is drawn again and again
