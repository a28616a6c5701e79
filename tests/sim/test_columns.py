"""The schema of the tables: every column is explained, the document is what the code prints, old reports are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sim
from sim.report.columns import COLUMNS, described_tables, meaning
from sim.report.schema import SCHEMA_VERSION, TABLES

ROOT = Path(__file__).parents[2]


def test_every_column_is_explained_and_none_besides() -> None:
    there = {(name, field.name) for name, table in TABLES.items() for field in table.schema}
    for table, column in there:
        assert meaning(table, column)
    columns = {column for _, column in there}
    assert {key for key in COLUMNS if key not in columns and tuple(key.split(".")) not in there} == set()


def test_the_document_is_what_is_printed() -> None:
    """Otherwise: iciia schema --tables > docs/tables.md"""
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == described_tables()


def test_a_report_of_schema_1(old_report: Path) -> None:
    """It was written before there were protocols, natural clients and attributes."""
    assert SCHEMA_VERSION > 1
    report = sim.load(old_report)
    assert report.run["schema_version"] == 1
    for name, table in TABLES.items():
        if name != "events":
            assert set(table.schema.names) <= set(report.table(name).columns), name
    assert report.summary.accuracy.tolist() == pd.read_parquet(old_report / "summary.parquet").accuracy.tolist()
    assert set(report.summary.protocol) == {"stream"} == set(report.windows.protocol)
    assert report.clients.natural_client.isna().all()
    assert report.summary.bank_policy.isna().all()
    assert report.scenario["protocol"] == "stream"
    assert report.clients.correct.sum() == report.windows.correct.sum()
    with pytest.raises(sim.ReportError, match="has no table 'events'"):
        _ = report.events


def test_what_a_bank_is_stands_in_summaries_and_sweeps(tiny: Callable[..., Any], tmp_path: Path) -> None:
    banks = [{"capacity": [2, 4]}, {"capacity": 4, "policy": "reservoir", "storage": "int8"}]
    modules = {"any": {"steps": 2, "streams": "as_clients"}}
    adapters = [
        "backbone",
        *(
            {"kind": "iciia", "module": "any", "name": name, "bank": bank}
            for name, bank in zip("ab", banks, strict=True)
        ),
    ]
    swept = tiny(modules=modules, adapters=adapters, sweep={"seed": [1, 2]})
    report = sim.run(swept, out=tmp_path / "r", workers=0, quiet=True)
    one = sim.load(tmp_path / "r" / "cells" / "0001").summary
    for frame, runs in ((report.sweep, 2), (one, 1)):
        assert frame.bank_policy.fillna("none").tolist() == ["none", "fifo", "fifo", "reservoir"] * runs
        assert frame.bank_storage.fillna("none").tolist() == ["none", "float32", "float32", "int8"] * runs
        assert frame.groupby(["bank_policy", "bank_storage"]).size().tolist() == [2 * runs, runs]
    old = json.loads((tmp_path / "r" / "run.json").read_text()) | {"schema_version": 3}
    (tmp_path / "r" / "run.json").write_text(json.dumps(old))
    file = tmp_path / "r" / "sweep.parquet"
    pd.read_parquet(file).drop(columns=["bank_policy", "bank_storage"]).to_parquet(file)
    assert sim.load(tmp_path / "r").sweep.bank_policy.isna().all()


def test_a_table_that_an_old_report_does_not_have_is_empty(old_report: Path, tmp_path: Path) -> None:
    for file in old_report.rglob("*"):
        if file.is_file() and file.name != "staleness.parquet":
            (tmp_path / file.relative_to(old_report)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.relative_to(old_report)).write_bytes(file.read_bytes())
    found = sim.load(tmp_path).staleness
    assert found.empty
    assert list(found.columns) == TABLES["staleness"].schema.names
