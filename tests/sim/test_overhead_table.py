"""`iciia overhead --paper`: every pair of the paper in both variants, and its two percentages where they are known."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from sim.cli import app
from sim.report.overhead import PaperRow, paper_rows, rendered


@pytest.fixture(scope="module")
def rows() -> list[PaperRow]:
    return paper_rows(15)


def test_every_pair_in_both_variants(rows: list[PaperRow]) -> None:
    pairs = [(row.pair.dataset, row.pair.backbone) for row in rows]
    assert len(set(pairs)) == 10
    assert pairs[::2] == pairs[1::2]
    assert [row.variant for row in rows] == ["ICIIA-B", "ICIIA-T"] * 10
    for row in rows:
        assert row.row.feature_dim == row.pair.feature_dim
        assert row.row.classes == row.pair.classes
        assert row.row.partitions == (1 if row.variant == "ICIIA-B" else 256)
        d, layers, n = row.row.feature_dim, row.row.layers, 16
        dense = d * d // row.row.partitions
        assert row.row.paper_macs == layers * (6 * n * dense + 2 * n * n * d + 2 * n * n)
        assert row.row.stream_macs == layers * (6 * dense + 2 * n * d)


def test_the_two_published_percentages(rows: list[PaperRow]) -> None:
    held = {row.pair.backbone: row for row in rows if row.published is not None}
    assert {name: f"{row.share_of_their_count:.2%}" for name, row in held.items()} == {
        "MobileNetV3-L": "1.62%",
        "Swin-B": "0.02%",
    }
    for row in held.values():
        assert row.share_of_their_count == pytest.approx(
            row.published, rel=0.15
        )  # as far as the digits that were published


def test_what_is_printed(rows: list[PaperRow], monkeypatch: pytest.MonkeyPatch) -> None:
    table = rendered(rows)
    assert len(table.rows) == 20
    monkeypatch.setattr("sim.report.overhead.paper_rows", lambda capacity: rows)
    shown: list[dict[str, Any]] = json.loads(CliRunner().invoke(app, ["overhead", "--paper", "--json"]).stdout)
    mobile = next(row for row in shown if (row["name"], row["variant"]) == ("MobileNetV3-L", "ICIIA-T"))
    assert (mobile["paper_macs"], mobile["published_share"]) == (3_810_816, 0.0162)
    refused = CliRunner().invoke(app, ["overhead", "--paper", "--layers", "2"])
    assert refused.exit_code == 2
    assert "leave these out" in refused.output
