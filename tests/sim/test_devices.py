"""Classes of devices: estimates worked out by hand, profiles that are all there, and what is said of those that are not."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iciia.overhead import Cost
from sim.cli import app
from sim.errors import ScenarioError
from sim.scenario.devices import built_in, estimate, estimate_adapter, profiles_of, read_profiles

MINE = """
board:
  title: a board
  macs_per_s: {value: 1.0e9, source: a}
  bytes_per_s: {value: 1.0e8, source: b}
  adapter_bytes: {value: 10000, source: c}
  word_bytes: {value: 2, source: d}
  pj_per_mac: {low: 1, high: 10, source: e}
  pj_per_byte: {low: 2, high: 200, source: f}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    return path


def test_an_estimate_by_hand(mine: Path) -> None:
    board = read_profiles(mine)["board"]
    computing = estimate(board, macs=5_000_000, moved_bytes=1000, held_bytes=10_000)
    assert computing.milliseconds == pytest.approx(5.0)  # 1000 bytes take 0.01 ms
    assert computing.millijoules_low == pytest.approx(5e6 * 1e-9 + 1000 * 2e-9)
    assert computing.millijoules_high == pytest.approx(5e6 * 1e-8 + 1000 * 2e-7)
    assert computing.fits
    moving = estimate(board, macs=1000, moved_bytes=1_000_000, held_bytes=10_001)
    assert moving.milliseconds == pytest.approx(10.0)
    assert not moving.fits


def test_the_bytes_of_an_adapter(mine: Path) -> None:
    """Weights of two bytes and the state are read, and one of 16 slots is written; without a bank, the whole state."""
    board = read_profiles(mine)["board"]
    cost = Cost(macs_per_image=1, state_bytes=1600, parameters=1000)
    assert estimate_adapter(board, cost, 16).milliseconds == pytest.approx((2000 + 1600 + 100) / 1e5)
    assert estimate_adapter(board, cost, None).milliseconds == pytest.approx((2000 + 1600 + 1600) / 1e5)
    assert estimate_adapter(board, Cost(parameters=1000), 0).millijoules_high == 0
    assert estimate_adapter(board, Cost(1, 0, 8000, 1000), 16).fits
    assert not estimate_adapter(board, Cost(1, 0, 8001, 1000), 16).fits


def test_what_comes_with_the_package() -> None:
    assert list(built_in()) == ["microcontroller", "phone", "single_board", "desktop"]
    rooms = [profile.adapter_bytes.value for profile in built_in().values()]
    assert rooms == sorted(rooms)
    for profile in built_in().values():  # the phone's speed is MobileNetV3-L's time there, measured by its authors
        for bounds in (profile.pj_per_mac, profile.pj_per_byte):
            assert bounds.low < bounds.high
    assert estimate(built_in()["phone"], 217_000_000, 0, 0).milliseconds == pytest.approx(51.2, rel=0.01)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("  bytes_per_s: {value: 1.0e8, source: b}\n", "", "line 2  board.bytes_per_s  is missing; a profile has every number"),
        ("value: 1.0e9", "value: -1", "line 4  board.macs_per_s.value  got -1; expected a number above 0"),
        ("value: 1.0e9, source: a", "value: 1.0e9", "line 4  board.macs_per_s.source  is missing"),
        ("word_bytes: {value: 2, source: d}", "word_bytes: 2", "line 7  board.word_bytes  got 2; expected a number and its source"),
        ("low: 2, high: 200", "low: 300, high: 200", "line 9  board.pj_per_byte  got low 300 above high 200; exchange them"),
        ("title: a board", "title: a board\n  watts: 3", "line 4  board.watts  unknown key; expected title, macs_per_s"),
    ],
)  # fmt: skip
def test_a_profile_that_is_not_all_there(mine: Path, before: str, after: str, said: str) -> None:
    assert before in MINE
    mine.write_text(MINE.replace(before, after))
    with pytest.raises(ScenarioError) as error:
        read_profiles(mine)
    assert f"{mine}: 1 problem\n  {said}" in str(error.value)


def test_a_name_that_no_profile_has(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match='did you mean "phone"'):
        profiles_of("fone")
    with pytest.raises(ScenarioError, match="cannot be read"):
        profiles_of(str(tmp_path / "none.yaml"))


def test_overhead_on_devices(mine: Path) -> None:
    asked = ["overhead", "--device", "phone", "--device", str(mine), "--partitions", "256"]
    found = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert [(row["device"], row["what"]) for row in found] == [
        (device, what) for device in ("phone", "board") for what in ("backbone", "default", "stream+head")
    ]
    assert all(row["is"] == "an estimate" and row["millijoules_low"] < row["millijoules_high"] for row in found)
    assert [row["fits"] for row in found] == [None, True, True, None, False, False]
    shown = CliRunner().invoke(app, asked).stdout
    assert shown.startswith("Estimates, not measurements")
    assert "does not fit" in shown
    refused = CliRunner().invoke(app, ["overhead", "--paper", "--device", "phone"])
    assert (refused.exit_code, "no devices" in refused.output) == (2, True)
