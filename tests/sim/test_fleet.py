"""Fleets: whose device is whose, banks that follow from it, and what reports say of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.errors import ScenarioError
from sim.page.aggregates import clients
from sim.page.devices import devices_table
from sim.page.overhead import estimates_table
from sim.report.load import Report
from sim.scenario.devices import built_in
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.streams.devices import draw_devices

Make = Callable[..., dict[str, Any]]

SHARES = {"large": 0.5, "small": 0.3, "none": 0.2}
ROOMS = {"large": 60_000, "small": 30_000, "none": 18_000}
"""The tiny stream module's weights take 4 * 4,504 bytes, and banks of 3, 16 and 64 images 1,548, 8,256 and 33,024."""
FITTING = {"large": 64, "small": 16, "none": 0}
PROFILE = """
{name}:
  title: a board
  macs_per_s: {{value: 1.0e9, source: a}}
  bytes_per_s: {{value: 1.0e8, source: b}}
  adapter_bytes: {{value: {room}, source: c}}
  word_bytes: {{value: 4, source: d}}
  pj_per_mac: {{low: 1, high: 10, source: e}}
  pj_per_byte: {{low: 2, high: 200, source: f}}
"""


@pytest.fixture(scope="module")
def scenario(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("profiles") / "rooms.yaml"
    file.write_text("".join(PROFILE.format(name=name, room=room) for name, room in ROOMS.items()))
    own = {"kind": "iciia", "module": "stream"}
    return tiny(
        name="fleet",
        clients=tiny()["clients"] | {"count": 30, "devices": SHARES, "profiles": str(file)},
        adapters=[
            "backbone",
            own | {"bank": {"capacity": [3, 16, 64]}},
            own | {"bank": {"capacity": [3, 16, 64], "by_device": True}},
        ],
    )


@pytest.fixture(scope="module")
def report(scenario: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Report:
    return sim.run(scenario, out=tmp_path_factory.mktemp("fleet") / "report", workers=0, quiet=True)


def test_devices_are_drawn_by_client() -> None:
    """Shares within 4 standard deviations, which all three miss for one seed in 5,000; and nobody's device is of the others'."""
    drawn = draw_devices(SHARES, 5, np.arange(10_000))
    for number, share in enumerate(SHARES.values()):
        assert abs((drawn == number).mean() - share) < 4 * (share * (1 - share) / 10_000) ** 0.5
    some = np.array([77, 3, 9_999])
    assert draw_devices(SHARES, 5, some).tolist() == drawn[some].tolist()
    assert (draw_devices(SHARES, 6, np.arange(100)) != drawn[:100]).any()
    assert set(draw_devices({"a": 0.5, "b": 0.5}, 5, np.arange(50)).tolist()) == {0, 1}


def test_every_client_has_the_bank_that_fits(report: Report) -> None:
    """To the bit what the adapter of that capacity predicts, and the backbone where none fits."""
    frame = report.clients
    fitted = frame[frame["adapter"] == "iciia-by_device"].set_index("client")
    assert set(fitted["device"]) == set(SHARES)
    assert fitted["fitted_capacity"].tolist() == [FITTING[name] for name in fitted["device"]]
    events = report.events.set_index(["client", "step"])
    for device, capacity in FITTING.items():
        whose = fitted.index[fitted["device"] == device]
        plain = events[events["adapter"] == (f"iciia-{capacity}" if capacity else "backbone")].loc[whose]
        ours = events[events["adapter"] == "iciia-by_device"].loc[whose]
        assert plain["confidence"].tolist() == ours["confidence"].tolist()
        assert plain["prediction"].tolist() == ours["prediction"].tolist()
    assert frame.loc[frame["adapter"] != "iciia-by_device", "fitted_capacity"].isna().all()


def test_what_it_costs_is_the_mean_of_the_fleet(report: Report) -> None:
    costs = report.overhead.set_index("adapter")
    row = costs.loc["iciia-by_device"]
    assert row["kind"] == "fitted"
    assert row["state_bytes"] == round(
        0.5 * costs.loc["iciia-64", "state_bytes"] + 0.3 * costs.loc["iciia-16", "state_bytes"]
    )
    assert row["parameters"] == round(0.8 * costs.loc["iciia-64", "parameters"])


def test_accuracy_by_device(report: Report) -> None:
    table = devices_table(report, clients(report, "iciia-by_device"))
    assert table is not None
    counts = report.clients.query("adapter == 'backbone'")["device"].value_counts()
    assert table.header == ["adapter", *(f"{name}, {counts[name]} clients" for name in SHARES)]
    cells = {row[0]: row[1:] for row in table.rows}
    assert [cell.rpartition(", ")[2] for cell in cells["iciia-by_device"]] == ["bank 64", "bank 16", "none fits"]
    frame = report.clients
    small = frame[(frame["adapter"] == "iciia-16") & (frame["device"] == "small")]
    assert cells["iciia-16"][1].startswith(
        f"{100 * small['accuracy'].mean():.1f} %, {100 * small['gain'].mean():+.1f} ["
    )
    page = (report.folder / "report.html").read_text()
    assert "Accuracy by device" in page
    assert "Milliseconds and millijoules, estimated" in page
    estimates = estimates_table(report)
    assert estimates is not None
    assert list(estimates.header)[1:] == [one.title for one in built_in().values()] + ["a board"] * 3
    rows = {row[0]: row[1:] for row in estimates.rows}
    assert list(rows) == [
        "iciia-3",
        "iciia-16",
        "iciia-64",
    ]  # the backbone adds nothing, and a fleet's mean is of no device
    assert [cell.endswith("does not fit") for cell in rows["iciia-64"][-3:]] == [False, True, True]
    assert [cell.endswith("does not fit") for cell in rows["iciia-16"][-3:]] == [False, False, True]


def test_a_report_without_devices_has_no_such_table(tiny_report: Report, old_report: Path) -> None:
    for one in (tiny_report, sim.load(old_report)):
        assert one.clients["device"].isna().all()
        assert devices_table(one, clients(one, "backbone")) is None


def test_other_cohorts_and_a_replay_see_the_same_devices(
    report: Report, scenario: dict[str, Any], tmp_path: Path
) -> None:
    cohorts = dict(scenario, clients=scenario["clients"] | {"cohort": 7})
    again = sim.run(cohorts, out=tmp_path / "r", workers=0, quiet=True)
    columns = ["client", "adapter", "device", "fitted_capacity"]
    assert again.clients[columns].astype(str).equals(report.clients[columns].astype(str))
    found = CliRunner().invoke(app, ["replay", str(again.folder), "--client", "3"])
    assert found.exit_code == 0, found.output


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("clients.devices", {"phon": 1.0}, 'clients.devices.phon  no device of that name; did you mean "phone"?'),
        ("clients.devices", {"phone": 0.6, "small": 0.3}, "clients.devices  got shares that sum to 0.9; expected 1"),
        ("clients.devices", {"phone": -1.0}, "clients.devices.phone  got -1.0; expected a number above 0"),
        ("clients.devices", {}, "adapters.2.bank.by_device  fits banks to devices, and clients have none; set clients.devices"),
        ("clients.profiles", "none.yaml", "none.yaml: 1 problem"),
        ("adapters.2.bank.diagnostics", True, "adapters.2.bank.diagnostics  measures one bank, and by_device has several"),
        ("protocol", "paper_batch", "adapters.2.bank.by_device  is of a stream's bank"),
    ],
)  # fmt: skip
def test_bad_fleets_are_refused(scenario: dict[str, Any], key: str, value: Any, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        validate(read(scenario).put(key, value))
    assert said in str(caught.value)
