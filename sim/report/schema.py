"""The tables of a report: one schema each, in one place.

Long format, a row per thing and adapter; units in the names; accuracies and gains are fractions. `correct` counts images that are
predicted right; an image with attributes counts by the share of them that is. Every file carries the schema's
version, the scenario, its protocol and its seed in its metadata; tables whose rows people put together across runs have the
protocol as a column.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 5
"""1: before there were natural clients, attributes and protocols. 2: before tables said what adapters know and scored detectors.
3: before summaries said what a bank is. 4: before clients had devices."""

_NAME = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Table:
    """One table of a report.

    Args:
        schema: Its columns.
        sharded: Whether it is a folder with a file for each range of cohorts, or one file written at the end.
        meaning: What a row is.
    """

    schema: pa.Schema
    sharded: bool
    meaning: str


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


TABLES: Mapping[str, Table] = {
    "windows": Table(
        _schema(
            client=pa.int64(), window=pa.int32(), step=pa.int32(), adapter=_NAME, protocol=_NAME, images=pa.int32(),
            correct=pa.float64(),
        ),
        True,
        "client x window of the stream x adapter; step is the window's first",
    ),
    "clients": Table(
        _schema(
            client=pa.int64(), natural_client=pa.int64(), device=_NAME, adapter=_NAME, fitted_capacity=pa.int64(),
            protocol=_NAME, images=pa.int32(), correct=pa.float64(), accuracy=pa.float64(), gain=pa.float64(), nll=pa.float64(),
        ),
        True,
        "client x adapter; natural_client is the data's own number of it (null for drawn streams), gain is over the backbone on "
        "the same images, nll the mean negative log-likelihood in nats",
    ),
    "drifts": Table(
        _schema(
            client=pa.int64(), drift=pa.int32(), step=pa.int32(), severity=pa.float64(), superclass_before=pa.int32(),
            superclass_after=pa.int32(), adapter=_NAME, images_before=pa.int32(), correct_before=pa.float64(),
            images_after=pa.int32(), correct_after=pa.float64(),
        ),
        True,
        "client x drift x adapter; before and after are the window's worth of images on each side, cut at the next drift",
    ),
    "events": Table(
        _schema(
            client=pa.int64(), step=pa.int32(), adapter=_NAME, image=pa.int64(), attribute=pa.int32(), label=pa.int32(),
            prediction=pa.int32(), confidence=pa.float32(),
        ),
        True,
        "a prediction, of an image or of one of its attributes; only written with report.events",
    ),
    "sums": Table(
        _schema(table=_NAME, adapter=_NAME, key=pa.int64(), measure=_NAME, value=pa.float64()),
        True,
        "what the tables written at the end are added up from",
    ),
    "summary": Table(
        _schema(
            adapter=pa.string(), protocol=pa.string(), kind=pa.string(), module=pa.string(), bank_capacity=pa.int64(),
            bank_policy=pa.string(), bank_storage=pa.string(),
            sees=pa.string(), knows=pa.string(), clients=pa.int64(), images=pa.int64(), accuracy=pa.float64(),
            accuracy_client_mean=pa.float64(), accuracy_ci_low=pa.float64(), accuracy_ci_high=pa.float64(), gain=pa.float64(),
            gain_ci_low=pa.float64(), gain_ci_high=pa.float64(), worst_client_accuracy=pa.float64(),
            worst_client_gain=pa.float64(), worst_decile_accuracy=pa.float64(), worst_decile_gain=pa.float64(),
            accuracy_before_drift=pa.float64(), accuracy_after_drift=pa.float64(), nll=pa.float64(), ece=pa.float64(),
            top5_accuracy=pa.float64(), macro_accuracy=pa.float64(), kappa_temporal=pa.float64(), macs_per_image=pa.int64(),
            state_bytes=pa.int64(),
        ),
        False,
        "an adapter; sees is what it is shown beside images, knows what it was told of clients beforehand; accuracy is pooled over "
        "images, the client mean and the gain (paired by client) have 95 % t-intervals over clients, "
        "before and after are a window's worth of images on each "
        "side of the drifts; nll, ece and top5_accuracy are null where an adapter's scores do not tell them, "
        "macro_accuracy is the mean over the classes that were met, and kappa_temporal is (accuracy - a) / (1 - a) with a "
        "the accuracy of repeating the previous label",
    ),
    "overhead": Table(
        _schema(
            adapter=pa.string(), kind=pa.string(), bank_capacity=pa.int64(), sees=pa.string(), knows=pa.string(),
            macs_per_image=pa.int64(), macs_module=pa.int64(), parameters=pa.int64(), state_bytes=pa.int64(),
            macs_training=pa.int64(), backbone_macs=pa.int64(), macs_share=pa.float64(),
        ),
        False,
        "an adapter's cost on the device by formula, per image and per client at a full bank; macs_training once for each client",
    ),
    "aligned": Table(
        _schema(adapter=pa.string(), offset=pa.int64(), images=pa.int64(), correct=pa.float64(), accuracy=pa.float64()),
        False,
        "adapter x images since a drift (negative before it), pooled over clients and drifts",
    ),
    "drift_metrics": Table(
        _schema(
            adapter=pa.string(), point=pa.string(), points=pa.int64(), censored=pa.int64(), accuracy_before=pa.float64(),
            accuracy_lowest=pa.float64(), drop=pa.float64(), recovery=pa.int64(), client_points=pa.int64(),
            client_drop=pa.float64(),
        ),
        False,
        "adapter x kind of point (drift, or placebo: the same statistics where nothing drifts); of the aligned curve the accuracy "
        "before, the lowest window after, their difference and the images until it is back at 90 % (null if beyond the horizon); "
        "censored points have the next drift or the stream's end inside the horizon; client_drop is the mean of single clients",
    ),
    "detections": Table(
        _schema(
            adapter=pa.string(), detector=pa.string(), drifts=pa.int64(), detected=pa.float64(), recall=pa.float64(),
            delay=pa.float64(), images=pa.int64(), alarms=pa.float64(), false_alarms=pa.float64(),
            false_alarms_per_1000=pa.float64(),
        ),
        False,
        "a detector of drifts: an adapter that detects, or a control that looks at nothing; an alarm detects a drift if it is the "
        "first from the drift on, within the horizon and before the next drift, and every other alarm is false; empty if no "
        "adapter detects",
    ),
    "classes": Table(
        _schema(
            adapter=pa.string(), protocol=pa.string(), class_index=pa.int64(), class_name=pa.string(), superclass=pa.string(),
            images=pa.int64(), correct=pa.float64(), accuracy=pa.float64(),
        ),
        False,
        "adapter x true class, or attribute",
    ),
    "calibration": Table(
        _schema(
            adapter=pa.string(), bin=pa.int64(), confidence_low=pa.float64(), confidence_high=pa.float64(),
            images=pa.int64(), confidence=pa.float64(), accuracy=pa.float64(),
        ),
        False,
        "adapter x bin of confidence; with attributes, images counts single attributes of images",
    ),
    "answers": Table(
        _schema(
            adapter=pa.string(), protocol=pa.string(), bank=pa.string(), policy=pa.string(), storage=pa.string(),
            bank_capacity=pa.int64(), sees=pa.string(), knows=pa.string(), accuracy=pa.float64(), gain=pa.float64(),
            gain_ci_low=pa.float64(), gain_ci_high=pa.float64(), state_bytes=pa.int64(), macs_per_image=pa.int64(),
            on_bytes_frontier=pa.bool_(), on_macs_frontier=pa.bool_(), smallest_within_a_point=pa.bool_(), drop=pa.float64(),
            recovery_images=pa.int64(), worst_decile_accuracy=pa.float64(), worst_decile_gain=pa.float64(),
        ),
        False,
        "an adapter; frontiers are over all adapters that see images alone, smallest_within_a_point over the capacities of one "
        "bank, drop and recovery on the curve pooled over clients and drifts (sim.report.answers), the worst decile over clients",
    ),
    "staleness": Table(
        _schema(
            adapter=pa.string(), images_since_drift=pa.int64(), images=pa.int64(), age_images=pa.float64(),
            bank_weight_on_current_subset=pa.float64(), weight_on_itself=pa.float64(),
        ),
        False,
        "adapter with diagnostics x window since a client's last drift: what attention used; empty without diagnostics",
    ),
    "audit": Table(
        _schema(measure=pa.string(), name=pa.string(), planned=pa.float64(), drawn=pa.float64()),
        False,
        "what the streams really were: class shares planned and drawn, drifts, their severity, repeats inside the largest bank, "
        "runs of one class, distinct classes in a window, the split",
    ),
}  # fmt: skip


def sharded_tables(events: bool) -> list[str]:
    """The tables that a run writes for each range of cohorts. `clients` is last: its file is the commit."""
    names = [name for name, table in TABLES.items() if table.sharded and name != "clients"]
    if not events:
        names.remove("events")
    return [*names, "clients"]


def metadata(scenario: str, digest: str, seed: int, protocol: str) -> dict[str, str]:
    """What every file of a report carries: the scenario as JSON and its digest, its seed and its protocol."""
    return {
        "schema_version": str(SCHEMA_VERSION),
        "scenario": scenario,
        "scenario_digest": digest,
        "seed": str(seed),
        "protocol": protocol,
        "iciia_sim": version("iciia-sim"),
    }


def make(name: str, columns: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table by columns or by rows, with exactly the columns of its schema."""
    schema = TABLES[name].schema
    if isinstance(columns, Mapping):
        return pa.table(
            {field.name: pa.array(columns[field.name], field.type, from_pandas=True) for field in schema}, schema=schema
        )
    return pa.Table.from_pylist([dict(row) for row in columns], schema=schema)


def with_metadata(table: pa.Table, values: Mapping[str, str]) -> pa.Table:
    """The table with a report's metadata."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **values})


def scenario_of(schema: pa.Schema) -> dict[str, Any]:
    """The scenario in a file's metadata."""
    return dict(json.loads(schema.metadata[b"scenario"]))
