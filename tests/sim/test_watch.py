"""`iciia watch`: follows a run from its folder alone, through a kill and a resume, in a real browser; stops cleanly; and refuses
what is no run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tabs import BACKGROUND, SIZES
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.report.following import Follower

Make = Callable[..., dict[str, Any]]
COHORTS = 120


@pytest.fixture(scope="module")
def scenario(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    clients = tiny()["clients"] | {"count": 4 * COHORTS - 1, "cohort": 4}
    path = tmp_path_factory.mktemp("scenario") / "tiny.yaml"
    YAML().dump(tiny(clients=clients, report={"window": 10, "horizon": 20}), path)
    return path


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sim.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def reaches(page: Any, state: str) -> None:
    """Waits until the page says so."""
    page.locator(f"html{state}").wait_for(state="attached", timeout=120_000)


@pytest.fixture
def watch() -> Iterator[Callable[[Path], tuple[subprocess.Popen[str], str]]]:
    """Watches a run; gives the process and the page's address."""
    running: list[subprocess.Popen[str]] = []

    def begin(folder: Path) -> tuple[subprocess.Popen[str], str]:
        process = started("watch", folder)
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(rf"^watching {re.escape(str(folder))} at (http://127\.0\.0\.1:\d+/) ", line)
        assert found is not None, line
        return process, found[1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def state_at(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}state.json", timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def test_through_a_kill_and_a_resume(
    browser: Any, scenario: Path, watch: Callable[[Path], tuple[subprocess.Popen[str], str]], tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    run = started("run", scenario, "--out", folder, "--workers", "0", "--quiet")
    wait_for(lambda: (folder / "run.json").is_file())
    watching, address = watch(folder)
    page = browser.new_context(viewport=SIZES["desktop"]).new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    reaches(page, "[data-clients]:not([data-clients='0'])")
    run.send_signal(signal.SIGKILL)
    run.communicate()
    there = state_at(address)
    assert 0 < there["clients_done"] < 4 * COHORTS - 1
    assert there["clients_done"] % 4 == 0
    assert there["state"] == "running"
    reaches(page, f"[data-clients='{there['clients_done']}']")
    assert page.locator("#state").inner_text().startswith("Not finished.")
    assert page.locator("#far").inner_text().startswith(f"{there['clients_done']} of 479 clients committed")
    rows = page.locator("#adapters tbody tr")
    assert rows.locator("th").all_inner_texts() == ["backbone", "iciia-0", "iciia-3", "iciia-16", "oracle"]
    assert re.fullmatch(r"\+\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\]", rows.nth(4).locator("td").nth(1).inner_text())
    report = sim.run(scenario, out=folder, workers=0, resume=True, quiet=True)
    reaches(page, "[data-state='finished']")
    assert page.locator("#far").inner_text().startswith("479 of 479 clients committed (100.0 %), 28,740 images")
    told = {one["adapter"]: one for one in state_at(address)["adapters"]}
    for row in report.summary.itertuples():
        one = told[row.adapter]
        assert one["accuracy"] == pytest.approx(row.accuracy_client_mean)
        assert one["gain"] == pytest.approx(row.gain)
        assert one["gain_interval"] == pytest.approx([row.gain_ci_low, row.gain_ci_high])
        assert one["accuracy_interval"] == pytest.approx([row.accuracy_ci_low, row.accuracy_ci_high])
    assert {url.partition("?")[0] for url in asked} <= {address, f"{address}state.json", f"{address}favicon.ico"}
    page.get_by_role("link", name="The report").click()
    reaches(page, "[data-ready='yes']")
    assert page.locator("h1").inner_text() == "tiny"
    page.go_back()
    reaches(page, "[data-state='finished']")
    assert said == []
    watching.send_signal(signal.SIGINT)
    out, errors = watching.communicate(timeout=30)
    assert (watching.returncode, out, errors) == (0, "stopped watching\n", "")
    page.context.close()


def test_a_finished_run_and_a_server_that_goes(
    browser: Any, tiny_report: sim.Report, watch: Callable[[Path], tuple[subprocess.Popen[str], str]]
) -> None:
    watching, address = watch(tiny_report.folder)
    pages = []
    for size, scheme in product(SIZES, BACKGROUND):
        page = browser.new_context(viewport=SIZES[size], color_scheme=scheme).new_page()
        pages.append(page)
        page.goto(address)
        reaches(page, "[data-state='finished']")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUND[scheme]
        assert page.locator(".track").count() == 5
        for track in page.locator(".track").all():
            box, mark = track.bounding_box(), track.locator("b").bounding_box()
            assert box["x"] - 6 <= mark["x"] <= box["x"] + box["width"] + 6
    for path in ("secret", "run.json", "../run.json", "client-99.html", "windows"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}{path}", timeout=30)
    watching.send_signal(signal.SIGTERM)
    assert watching.wait(timeout=30) == 0
    reaches(pages[-1], "[data-state='gone']")
    assert pages[-1].locator("#state").inner_text() == "iciia watch has stopped; start it again to go on watching."
    for page in pages:
        page.context.close()


def test_states(tiny_report: sim.Report, tmp_path: Path) -> None:
    """Of a run that has just begun, one in part, and one whose files go meanwhile."""
    folder = tmp_path / "r"
    folder.mkdir()
    run = dict(tiny_report.run) | {"complete": False}
    (folder / "run.json").write_text(json.dumps(run))
    follower = Follower(folder)
    begun = follower.look()
    assert (begun.state, begun.clients_done, begun.clients, begun.images, begun.adapters) == ("begun", 0, 11, 0, [])
    assert begun.committed_at is None
    for table in ("sums", "clients"):
        (folder / table).mkdir()
    for count, name in enumerate(sorted(path.name for path in (tiny_report.folder / "clients").iterdir()), start=1):
        os.link(tiny_report.folder / "sums" / name, folder / "sums" / name)
        assert follower.look().clients_done == 4 * (count - 1)  # sums alone are no commit
        os.link(tiny_report.folder / "clients" / name, folder / "clients" / name)
        found = follower.look()
        assert found.clients_done == min(4 * count, 11)
        assert found.images == 60 * found.clients_done
    assert found.state == "finishing"
    clients = tiny_report.clients
    for one in found.adapters:
        rows = clients[clients.adapter == one.adapter]
        assert one.accuracy == pytest.approx(rows.accuracy.mean())
        assert one.gain == pytest.approx(rows.gain.mean())
    (folder / "run.json").write_text(json.dumps(run | {"complete": True}))
    assert follower.look().state == "finished"
    (folder / "clients" / name).unlink()
    assert follower.look().state == "finished in part"
    (folder / "run.json").unlink()
    with pytest.raises(sim.ReportError, match="is not a run"):
        follower.look()


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "run.json").write_text(json.dumps({"scenario": {"clients": {}, "sweep": {"seed": [1, 2]}}}))
    for name, said in (
        ("nowhere", "no such folder; give the folder of a run"),
        ("empty", "is not a run (no readable run.json in it)"),
        ("sweep", "is a sweep; watch one of its runs"),
    ):
        done = CliRunner().invoke(app, ["watch", str(tmp_path / name)])
        assert isinstance(done.exception, sim.ReportError)
        assert said in str(done.exception)
        assert "\n" not in str(done.exception)
