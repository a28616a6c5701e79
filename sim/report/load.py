"""A report: the folder that a run leaves, read as pandas frames.

pandas lives here. DuckDB, polars and plain pyarrow read the same files with no help from us.
"""

import contextlib
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from rich.table import Table as RichTable

from sim.addresses import Address, Location, locate
from sim.errors import ReportError
from sim.files import DISK
from sim.outputs import RUN_FILE, reading, unreadable
from sim.report.schema import SCHEMA_VERSION, TABLES
from sim.scenario.scenario import Scenario
from sim.views import view

SWEPT = {"sweep": "summary"}
"""Of a table of a sweep, whose columns it has beside what is swept."""

ALWAYS = {"protocol": "stream"}
"""What was so in every report before there was a column that says it; other columns that a report is too old for are null."""


class Report:
    """What a run left behind. Tables are read when they are asked for, sorted by their keys.

    Args:
        folder: The report's folder, here or at an address.

    Raises:
        ReportError: It is no report, an unfinished one, or one of a newer version of this package.

    One of an older version is read with today's columns: what it does not tell is null.
    """

    def __init__(self, folder: str | Location) -> None:
        self.folder = locate(folder)
        try:
            self.run: dict[str, Any] = json.loads((self.folder / RUN_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ReportError(f"{folder}: is not a report ({unreadable(RUN_FILE, error)})") from error
        found = self.run.get("schema_version")
        if not isinstance(found, int) or found > SCHEMA_VERSION:
            raise ReportError(
                f"{folder}: its tables have schema version {found}, and this package reads 1 to {SCHEMA_VERSION}; "
                "update iciia-sim"
            )
        if not self.run.get("complete"):
            raise ReportError(
                f"{folder}: the run is not finished; finish it with: iciia run SCENARIO --resume {shlex.quote(str(folder))}"
            )

    @property
    def scenario(self) -> dict[str, Any]:
        """The scenario that was run. One of an older report has the settings that are new since at their defaults."""
        found = dict(self.run["scenario"])
        if self._older:
            with contextlib.suppress(ValidationError):  # a setting is gone since; the rest can still be read
                return Scenario.model_validate_json(json.dumps(found)).model_dump(mode="json")
        return found

    def table(self, name: str) -> pd.DataFrame:
        """One table by name.

        Raises:
            ReportError: There is no such table in this report.
        """
        files = self.files(name)
        if not files:
            return TABLES[name].schema.empty_table().to_pandas()
        whole = pa.concat_tables([self.read(name, file) for file in files]).unify_dictionaries()
        frame: pd.DataFrame = whole.to_pandas()
        if files[0].parent == self.folder:
            return frame
        keys = [key for key in ("adapter", "client", "drift", "window", "step", "key") if key in frame]
        return frame.sort_values(keys, ignore_index=True, kind="stable")

    def files(self, name: str) -> list[Location]:
        """The files of a table: one, or one for each range of cohorts, in order; none if the report is older than the table.

        Raises:
            ReportError: There is no such table in this report.
        """
        file, folder = self.folder / f"{name}.parquet", self.folder / name
        with reading(self.folder):
            if file.is_file():
                return [file]
            if name in TABLES and folder.is_dir():
                return [folder / one for one in DISK.names(folder) if one.endswith(".parquet")]
            if self._older and name in TABLES and not TABLES[name].sharded:
                return []
            whole = {one.removesuffix(".parquet") for one in DISK.names(self.folder) if one.endswith(".parquet")}
            there = sorted(whole | (set(DISK.folders(self.folder)) & set(TABLES)))
        raise ReportError(f"{self.folder}: has no table {name!r}; it has {', '.join(there)}")

    def read(self, name: str, file: Location, columns: Sequence[str] | None = None) -> pa.Table:
        """One file of a table. Of an older report's, columns that it does not have are null.

        Args:
            name: The table.
            file: One of its files.
            columns: Only these.
        """
        schema = TABLES[SWEPT.get(name, name)].schema
        with reading(file):
            source = file if isinstance(file, Path) else pa.BufferReader(DISK.read(file))
        there = pq.read_schema(source).names
        wanted = there if columns is None else [column for column in columns if column in there]
        found = pq.read_table(
            source, columns=wanted, partitioning=None
        )  # a file's name is a range of cohorts, not a column
        if self._older:
            for field in schema:
                if field.name not in there and (columns is None or field.name in columns):
                    always = pa.scalar(ALWAYS.get(field.name), pa.string())
                    found = found.append_column(field, pa.repeat(always, len(found)).cast(field.type))
        return found

    @property
    def label_words(self) -> tuple[str, str]:
        """What images are labelled with, one and several of them: a class, or attributes, for each of which `classes` counts every
        image."""
        several = self.classes["images"].sum() > self.summary["images"].sum()
        return ("attribute", "attributes") if several else ("class", "classes")

    @property
    def _older(self) -> bool:
        return int(self.run["schema_version"]) < SCHEMA_VERSION

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row for each adapter."""
        return self.table("summary")

    @cached_property
    def windows(self) -> pd.DataFrame:
        """A row for each client, window and adapter."""
        return self.table("windows")

    @cached_property
    def clients(self) -> pd.DataFrame:
        """A row for each client and adapter."""
        return self.table("clients")

    @cached_property
    def drifts(self) -> pd.DataFrame:
        """A row for each client, drift and adapter."""
        return self.table("drifts")

    @cached_property
    def aligned(self) -> pd.DataFrame:
        """A row for each adapter and number of images since a drift."""
        return self.table("aligned")

    @cached_property
    def drift_metrics(self) -> pd.DataFrame:
        """Drop and recovery of each adapter, at drifts and at placebo points."""
        return self.table("drift_metrics")

    @cached_property
    def detections(self) -> pd.DataFrame:
        """A row for each detector of drifts, adapters and controls."""
        return self.table("detections")

    @cached_property
    def classes(self) -> pd.DataFrame:
        """A row for each adapter and true class."""
        return self.table("classes")

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """A row for each adapter and bin of confidence."""
        return self.table("calibration")

    @cached_property
    def overhead(self) -> pd.DataFrame:
        """A row for each adapter: what it costs on the device."""
        return self.table("overhead")

    @cached_property
    def answers(self) -> pd.DataFrame:
        """A row for each adapter: frontiers, the smallest good capacity, recovery after drifts, the worst decile of clients."""
        return self.table("answers")

    @cached_property
    def staleness(self) -> pd.DataFrame:
        """What attention used, for adapters with diagnostics."""
        return self.table("staleness")

    @cached_property
    def audit(self) -> pd.DataFrame:
        """What the streams really were."""
        return self.table("audit")

    @cached_property
    def events(self) -> pd.DataFrame:
        """A row for each prediction, if the scenario asked for them."""
        return self.table("events")

    @cached_property
    def sweep(self) -> pd.DataFrame:
        """The summaries of a sweep's runs, with the swept keys as columns."""
        return self.table("sweep")

    @cached_property
    def plot(self) -> Any:
        """The charts of the report's page: `report.plot.gain()` is a Vega-Altair chart, `dir(report.plot)` names them all."""
        return view().plots(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the headline, the main chart, links."""
        return view().html(self)

    def __repr__(self) -> str:
        return f"Report({str(self.folder)!r})"


def load(folder: str | Path | Address) -> Report:
    """Opens the report in a folder, here or at an address such as `s3://bucket/folder`.

    Raises:
        ReportError: It is no report, an unfinished one, or one of a newer version of this package.
    """
    return Report(folder)


def rendered(report: Report) -> RichTable:
    """The summary (of a sweep: of all its runs) as a table for people: accuracies and gains in points."""
    swept = report.run.get("sweep", [])
    frame = report.sweep if swept else report.summary
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    # a stream is what people expect; whatever else it is has to be said
    told = ["protocol"] if (frame.protocol != "stream").any() and "protocol" not in swept else []
    labelled = ["sees"] if (frame.sees == "past_labels").any() else []
    labelled += ["knows"] if (frame.knows.eq("superclasses") & frame.module.isna()).any() else []  # by a list
    keys = (*swept, *told, "adapter", *labelled)
    for name in keys:
        table.add_column(name, no_wrap=True)
    drifts = report.answers[["drop", "recovery_images"]].to_dict("records")
    drifting = any(pd.notna(row["drop"]) for row in drifts)
    names = ["accuracy %", "client mean % [95 % CI]", "gain, points [95 % CI]"]
    names += ["drop, points", "recovery, images"] if drifting else []
    for name in (*names, "MACs/image", "state bytes"):
        table.add_column(name, justify="right")
    for row, drift in zip(frame.to_dict("records"), drifts, strict=True):
        around = [in_points(drift["drop"]), _recovery(drift)] if drifting else []
        table.add_row(
            *(str(row[name]) for name in keys),
            in_points(row["accuracy"]),
            f"{in_points(row['accuracy_client_mean'])} {interval_in_points(row, 'accuracy')}",
            f"{in_points(row['gain'], '+')} {interval_in_points(row, 'gain', '+')}",
            *around,
            _count(row["macs_per_image"]),
            _count(row["state_bytes"]),
        )
    return table


def _recovery(row: Mapping[Any, Any]) -> str:
    """Images until accuracy is back; `never` if it is not within the horizon."""
    return "never" if pd.isna(row["recovery_images"]) and pd.notna(row["drop"]) else _count(row["recovery_images"])


def _count(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:,.0f}"


def in_points(value: float | None, sign: str = "") -> str:
    """A fraction in points; `-` if it is not known."""
    return "-" if pd.isna(value) else f"{100 * value:{sign}.1f}"


def interval_in_points(row: Mapping[Any, Any], name: str, sign: str = "") -> str:
    """An interval in points, from the columns `NAME_ci_low` and `NAME_ci_high`."""
    return f"[{in_points(row[f'{name}_ci_low'], sign)}, {in_points(row[f'{name}_ci_high'], sign)}]"
