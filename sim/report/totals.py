"""The tables written at the end of a run, made of the sums over all cohorts."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iciia.adapters import Adapter
from sim.addresses import Location
from sim.data import Classes
from sim.files import DISK
from sim.outputs import reading
from sim.report import schema
from sim.report.answers import answers, bank_columns, staleness, worst_clients
from sim.report.detections import detections
from sim.report.drift_metrics import curve_metrics
from sim.report.intervals import t_interval
from sim.report.measures import CALIBRATION_BINS
from sim.report.sums import Sums, add_sums
from sim.streams.audit import audit_rows

ADAPTER_MODULES = Mapping[str, str | None]
"""Name of the module that each adapter uses."""


def read_sums(files: Iterable[Location]) -> Sums:
    """The sums of several ranges, added in the given order."""
    total: Sums = {}
    for file in files:
        with reading(file):
            rows = pq.read_table(pa.BufferReader(DISK.read(file)))
        columns = [rows.column(name).to_pylist() for name in ("table", "adapter", "key", "measure")]
        keys = zip(*columns, strict=True)
        add_sums(total, dict(zip(keys, rows.column("value").to_pylist(), strict=True)))
    return total


def final_tables(
    sums: Sums,
    adapters: Mapping[str, Adapter],
    modules: ADAPTER_MODULES,
    classes: Classes,
    split: Mapping[str, int],
    backbone_macs: int | None,
    window: int,
    horizon: int,
    protocol: str,
) -> dict[str, pa.Table]:
    """All tables that are sums over clients.

    Args:
        sums: Of all cohorts.
        adapters: The adapters by name.
        modules: The module that each uses.
        classes: The classes.
        split: Images of each part of the data.
        backbone_macs: Multiply-adds of the backbone; None if unknown.
        window: Images in a window.
        horizon: Images after a drift that aligned sums cover.
        protocol: By which images were predicted.
    """
    calibration = _calibration(sums, list(adapters))
    summary = [{**row, "protocol": protocol} for row in _summary(sums, adapters, modules, calibration)]
    drift_metrics = _drift_metrics(sums, list(adapters), window, horizon)
    return {
        "summary": schema.make("summary", summary),
        "overhead": schema.make("overhead", _overhead(adapters, backbone_macs)),
        "aligned": schema.make("aligned", _aligned(sums, list(adapters))),
        "drift_metrics": schema.make("drift_metrics", drift_metrics),
        "classes": schema.make(
            "classes", [{**row, "protocol": protocol} for row in _classes(sums, list(adapters), classes)]
        ),
        "calibration": schema.make("calibration", calibration),
        "answers": schema.make("answers", answers(sums, adapters, summary, drift_metrics)),
        "detections": schema.make("detections", detections(sums, list(adapters))),
        "staleness": schema.make("staleness", staleness(sums, window)),
        "audit": schema.make("audit", audit_rows(sums, classes, split)),
    }


Rows = list[dict[str, object]]


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _summary(sums: Sums, adapters: Mapping[str, Adapter], modules: ADAPTER_MODULES, calibration: Rows) -> Rows:
    rows: Rows = []
    for name, adapter in adapters.items():
        value = {measure: total for (table, of, _, measure), total in sums.items() if (table, of) == ("summary", name)}
        clients, cost = value["clients"], adapter.cost()
        accuracy_low, accuracy_high = t_interval(clients, value["accuracy"], value["accuracy_squared"])
        gain_low, gain_high = t_interval(clients, value["gain"], value["gain_squared"])
        bins = [row for row in calibration if row["adapter"] == name and row["images"]]
        off = [abs(float(str(b["accuracy"])) - float(str(b["confidence"]))) * float(str(b["images"])) for b in bins]
        rows.append(
            {
                "adapter": name,
                "kind": adapter.kind,
                "module": modules[name],
                **bank_columns(adapter),
                "sees": adapter.sees,
                "knows": adapter.knows,
                "clients": int(clients),
                "images": int(value["images"]),
                "accuracy": value["correct"] / value["images"],
                "accuracy_client_mean": value["accuracy"] / clients,
                "accuracy_ci_low": _finite(accuracy_low),
                "accuracy_ci_high": _finite(accuracy_high),
                "gain": value["gain"] / clients,
                "gain_ci_low": _finite(gain_low),
                "gain_ci_high": _finite(gain_high),
                **worst_clients(sums, name),
                "accuracy_before_drift": _ratio(value["correct_before"], value["images_before"]),
                "accuracy_after_drift": _ratio(value["correct_after"], value["images_after"]),
                "nll": _finite(value["nll"] / value["images"]) if "nll" in value else None,
                "ece": _ratio(sum(off), sum(float(str(b["images"])) for b in bins)),
                "top5_accuracy": value["top5"] / value["images"] if "top5" in value else None,
                "macro_accuracy": _macro_accuracy(sums, name),
                "kappa_temporal": _kappa_temporal(value),
                "macs_per_image": cost.macs_per_image,
                "state_bytes": cost.state_bytes,
            }
        )
    return rows


def _macro_accuracy(sums: Sums, name: str) -> float:
    """Mean over classes, those that were met."""
    images = {
        c: value
        for (table, of, c, measure), value in sums.items()
        if (table, of, measure) == ("classes", name, "images")
    }
    return sum(sums["classes", name, c, "correct"] / count for c, count in images.items()) / len(images)


def _kappa_temporal(value: Mapping[str, float]) -> float | None:
    """How far an adapter is above repeating the previous label, as a share of what there is above it; null for attributes.

    Source: Zliobaite et al., "Evaluation methods and decision theory for classification of streaming data with temporal
    dependence", Machine Learning 98, 2015.
    """
    if "persistent" not in value:
        return None
    return _ratio(value["correct"] - value["persistent"], value["images"] - value["persistent"])


def _overhead(adapters: Mapping[str, Adapter], backbone_macs: int | None) -> Rows:
    rows: Rows = []
    for name, adapter in adapters.items():
        cost = adapter.cost()
        rows.append(
            {
                "adapter": name,
                "kind": adapter.kind,
                "bank_capacity": adapter.capacity,
                "sees": adapter.sees,
                "knows": adapter.knows,
                "macs_per_image": cost.macs_per_image,
                "macs_module": cost.macs_module,
                "parameters": cost.parameters,
                "state_bytes": cost.state_bytes,
                "macs_training": cost.macs_training,
                "backbone_macs": backbone_macs,
                "macs_share": cost.macs_per_image / backbone_macs if backbone_macs else None,
            }
        )
    return rows


def _aligned(sums: Sums, adapters: list[str]) -> Rows:
    rows: Rows = []
    for name in adapters:
        for offset in sorted({key for table, of, key, _ in sums if (table, of) == ("aligned", name)}):
            images, correct = (sums["aligned", name, offset, measure] for measure in ("images", "correct"))
            accuracy = correct / images
            rows.append(
                {
                    "adapter": name,
                    "offset": offset,
                    "images": int(images),
                    "correct": correct,
                    "accuracy": accuracy,
                }
            )
    return rows


def _classes(sums: Sums, adapters: list[str], classes: Classes) -> Rows:
    rows: Rows = []
    for name in adapters:
        for c in range(len(classes)):
            images = int(sums.get(("classes", name, c, "images"), 0))
            correct = sums.get(("classes", name, c, "correct"), 0.0)
            rows.append(
                {
                    "adapter": name,
                    "class_index": c,
                    "class_name": classes.names[c],
                    "superclass": None
                    if classes.superclass is None
                    else classes.superclass_names[classes.superclass[c]],
                    "images": images,
                    "correct": correct,
                    "accuracy": _ratio(correct, images),
                }
            )
    return rows


def _calibration(sums: Sums, adapters: list[str]) -> Rows:
    rows: Rows = []
    for name in adapters:
        for number in range(CALIBRATION_BINS):
            images, correct, confidence = (
                sums.get(("calibration", name, number, measure), 0.0) for measure in ("images", "correct", "confidence")
            )
            rows.append(
                {
                    "adapter": name,
                    "bin": number,
                    "confidence_low": number / CALIBRATION_BINS,
                    "confidence_high": (number + 1) / CALIBRATION_BINS,
                    "images": int(images),
                    "confidence": _ratio(confidence, images),
                    "accuracy": _ratio(correct, images),
                }
            )
    return rows


def _drift_metrics(sums: Sums, adapters: list[str], window: int, horizon: int) -> Rows:
    rows: Rows = []
    for name in adapters:
        value = {
            measure: total for (table, of, _, measure), total in sums.items() if (table, of) == ("drift_metrics", name)
        }
        compared = bool(value["placebo_client_points"])  # a single client's drop says nothing without its placebo
        for point, table in (("drift", "aligned"), ("placebo", "placebo")):
            curve = np.array(
                [
                    [sums.get((table, name, offset, measure), 0.0) for offset in range(-window, horizon)]
                    for measure in ("images", "correct")
                ]
            )
            metrics = curve_metrics(curve[0], curve[1], window)
            singles = value[f"{point}_client_points"]
            rows.append(
                {
                    "adapter": name,
                    "point": point,
                    "points": int(value[f"{point}_points"]),
                    "censored": int(value[f"{point}_censored"]),
                    "accuracy_before": metrics.before,
                    "accuracy_lowest": metrics.lowest,
                    "drop": metrics.drop,
                    "recovery": metrics.recovery,
                    "client_points": int(singles),
                    "client_drop": _ratio(value[f"{point}_client_drop"], singles) if compared else None,
                }
            )
    return rows
