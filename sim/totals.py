"""The tables written at the end of a run, made of the sums over all cohorts."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from iciia.adapters import Adapter
from sim import tables
from sim.answers import answers, staleness
from sim.data import Classes
from sim.records import CALIBRATION_BINS, Sums, add_sums

ADAPTER_MODULES = Mapping[str, str | None]
"""Name of the module that each adapter uses."""


def read_sums(files: Iterable[Path]) -> Sums:
    """The sums of several ranges, added in the given order."""
    total: Sums = {}
    for file in files:
        rows = pq.read_table(file)
        columns = [rows.column(name).to_pylist() for name in ("table", "adapter", "key", "measure")]
        keys = zip(*columns, strict=True)
        add_sums(total, dict(zip(keys, rows.column("value").to_pylist(), strict=True)))
    return total


def t_interval(count: float, total: float, total_squared: float, confidence: float = 0.95) -> tuple[float, float]:
    """The t-interval of a mean.

    Args:
        count: Number of values.
        total: Their sum.
        total_squared: The sum of their squares.
        confidence: Coverage.

    Returns:
        Lower and upper end; NaN for fewer than two values. Of 1, 2 and 3: (-0.484, 4.484).
    """
    if count < 2:
        return math.nan, math.nan
    mean = total / count
    deviation = math.sqrt(max(0.0, (total_squared - count * mean**2) / (count - 1)))
    reach = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * deviation / math.sqrt(count)
    return mean - reach, mean + reach


def final_tables(
    sums: Sums,
    adapters: Mapping[str, Adapter],
    modules: ADAPTER_MODULES,
    classes: Classes,
    split: Mapping[str, int],
    backbone_macs: int | None,
    window: int,
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
    """
    calibration = _calibration(sums, list(adapters))
    summary = _summary(sums, adapters, modules, calibration)
    aligned = _aligned(sums, list(adapters))
    return {
        "summary": tables.make("summary", summary),
        "overhead": tables.make("overhead", _overhead(adapters, backbone_macs)),
        "aligned": tables.make("aligned", aligned),
        "classes": tables.make("classes", _classes(sums, list(adapters), classes)),
        "calibration": tables.make("calibration", calibration),
        "answers": tables.make("answers", answers(sums, adapters, summary, aligned, window)),
        "staleness": tables.make("staleness", staleness(sums, window)),
        "audit": tables.make("audit", _audit(sums, classes, split)),
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
                "bank_capacity": adapter.capacity,
                "sees": adapter.sees,
                "clients": int(clients),
                "images": int(value["images"]),
                "accuracy": value["correct"] / value["images"],
                "accuracy_client_mean": value["accuracy"] / clients,
                "accuracy_ci_low": _finite(accuracy_low),
                "accuracy_ci_high": _finite(accuracy_high),
                "gain": value["gain"] / clients,
                "gain_ci_low": _finite(gain_low),
                "gain_ci_high": _finite(gain_high),
                "accuracy_before_drift": _ratio(value["correct_before"], value["images_before"]),
                "accuracy_after_drift": _ratio(value["correct_after"], value["images_after"]),
                "nll": _finite(value["nll"] / value["images"]),
                "ece": sum(off) / value["images"],
                "macs_per_image": cost.macs_per_image,
                "state_bytes": cost.state_bytes,
            }
        )
    return rows


def _overhead(adapters: Mapping[str, Adapter], backbone_macs: int | None) -> Rows:
    rows: Rows = []
    for name, adapter in adapters.items():
        cost = adapter.cost()
        rows.append(
            {
                "adapter": name,
                "kind": adapter.kind,
                "bank_capacity": adapter.capacity,
                "macs_per_image": cost.macs_per_image,
                "macs_module": cost.macs_module,
                "parameters": cost.parameters,
                "state_bytes": cost.state_bytes,
                "backbone_macs": backbone_macs,
                "macs_share": cost.macs_per_image / backbone_macs if backbone_macs else None,
            }
        )
    return rows


def _aligned(sums: Sums, adapters: list[str]) -> Rows:
    rows: Rows = []
    for name in adapters:
        for offset in sorted({key for table, of, key, _ in sums if (table, of) == ("aligned", name)}):
            images, correct = (int(sums["aligned", name, offset, measure]) for measure in ("images", "correct"))
            accuracy = correct / images
            rows.append(
                {
                    "adapter": name,
                    "offset": offset,
                    "images": images,
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
            correct = int(sums.get(("classes", name, c, "correct"), 0))
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
                sums["calibration", name, number, measure] for measure in ("images", "correct", "confidence")
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


def _audit(sums: Sums, classes: Classes, split: Mapping[str, int]) -> Rows:
    def row(measure: str, name: str, drawn: float | None, planned: float | None = None) -> dict[str, object]:
        return {"measure": measure, "name": name, "planned": planned, "drawn": drawn}

    stream = {measure: value for (table, _, _, measure), value in sums.items() if table == "streams"}
    planned = np.array([sums.get(("audit", "", c, "planned"), 0.0) for c in range(len(classes))])
    drawn = np.array([sums.get(("audit", "", c, "drawn"), 0.0) for c in range(len(classes))])
    rows = [row("images_in_part", part, count) for part, count in split.items()]
    rows.append(row("drifts_per_client", "", stream["drifts"] / stream["clients"]))
    rows.append(row("mean_severity", "", _ratio(stream["severity"], stream["drifts"])))
    rows.append(row("repeats_within_largest_bank", "", stream["repeats"] / stream["images"]))
    shares = zip(classes.names, planned / planned.sum(), drawn / drawn.sum(), strict=True)
    rows += [row("class_share", name, float(d), float(p)) for name, p, d in shares]
    return rows
