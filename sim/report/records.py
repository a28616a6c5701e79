"""From what happened in a cohort to rows.

Tables with a row for each client are made as they are. Everything else is a sum over clients: a cohort gives its part in one
long table (table, adapter, key, measure, value), parts are added in cohort order, and `sim.report.totals` makes tables of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.cohort.simulator import CohortResult
from sim.report import schema
from sim.report.answers import answer_sums
from sim.report.drift_metrics import client_drops
from sim.streams.audit import audit_sums

CALIBRATION_BINS = 15

Correct = NDArray[np.bool_] | NDArray[np.float64]
"""Whether each image is predicted right, or which share of its attributes, [A, K, T]."""

Sums = dict[tuple[str, str, int, str], float]
"""(table, adapter, key, measure) -> value."""


@dataclass(frozen=True)
class CohortRecords:
    """What a worker hands to the collector.

    Args:
        cohort: The cohort's number.
        rows: Tables by name.
        sums: The cohort's part of the sums.
        images: Images simulated.
    """

    cohort: int
    rows: dict[str, pa.Table]
    sums: Sums
    images: int


def cohort_tables(
    result: CohortResult, adapters: Sequence[str], window: int, horizon: int, events: bool, largest_bank: int
) -> tuple[dict[str, pa.Table], Sums]:
    """The rows of one cohort.

    Args:
        result: What happened.
        adapters: Their names, [A].
        window: Images in a window.
        horizon: Images after a drift that aligned sums cover.
        events: Whether a row for every prediction is wanted.
        largest_bank: Repeats are counted within this many images.

    Returns:
        Tables by name, and the cohort's part of the sums.
    """
    correct = result.correct
    drifts = _Drifts.of(result, window, horizon)
    found = {
        "windows": _windows(result, correct, adapters, window),
        "clients": _clients(result, correct, adapters),
        "drifts": _drift_rows(result, correct, adapters, drifts, window),
    }
    if events:
        found["events"] = _events(result, adapters)
    sums: Sums = {}
    for part in (
        _adapter_sums(result, correct, adapters, drifts, window),
        _class_sums(result, adapters),
        _calibration_sums(result, adapters),
        _aligned_sums("aligned", correct, adapters, drifts, window, horizon),
        _metric_sums(result, correct, adapters, drifts, window, horizon),
        audit_sums(result.plan, result.images, result.labels, result.lengths, window, largest_bank),
        answer_sums(result, adapters, window),
    ):
        for table, adapter, key, measure, value in part:
            sums[table, adapter, key, measure] = float(value)
    return found, sums


def sums_table(sums: Sums) -> pa.Table:
    """Sums as rows, sorted by key."""
    keys = sorted(sums)
    columns: list[tuple[object, ...]] = list(zip(*keys, strict=True))
    names = ("table", "adapter", "key", "measure")
    return schema.make("sums", {**dict(zip(names, columns, strict=True)), "value": [sums[key] for key in keys]})


def add_sums(total: Sums, part: Sums) -> None:
    """Adds a part to a total."""
    for key, value in part.items():
        total[key] = total.get(key, 0.0) + value


Part = Iterator[tuple[str, str, int, str, float]]


def _named(adapters: Sequence[str], per_adapter: int) -> pa.DictionaryArray:
    """The adapter column of rows that come adapter by adapter; of a single name, a column that holds it everywhere."""
    codes = np.repeat(np.arange(len(adapters), dtype=np.int32), per_adapter)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(adapters), pa.string()))


def _repeated(adapters: Sequence[str], values: NDArray[np.generic], each: int = 1) -> NDArray[np.generic]:
    """A column that is the same for all adapters, of rows that come adapter by adapter; every value `each` times."""
    return np.tile(np.repeat(values, each), len(adapters))


def _windows(result: CohortResult, correct: Correct, adapters: Sequence[str], window: int) -> pa.Table:
    steps = np.arange(0, correct.shape[2], window)
    right = np.add.reduceat(correct, steps, axis=2, dtype=np.float64)  # [A, K, W]
    images = np.clip(result.lengths[:, None] - steps, 0, window)  # [K, W]
    row, number = np.nonzero(images)

    return schema.make(
        "windows",
        {
            "client": _repeated(adapters, result.clients[row]),
            "window": _repeated(adapters, number),
            "step": _repeated(adapters, steps[number]),
            "adapter": _named(adapters, len(row)),
            "protocol": _named([result.protocol], len(row) * len(adapters)),
            "images": _repeated(adapters, images[row, number]),
            "correct": right[:, row, number].ravel(),
        },
    )


def _per_client(
    result: CohortResult, correct: Correct, adapters: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy of each adapter and client, and its gain over the backbone, each [A, K]."""
    accuracy = correct.sum(axis=2, dtype=np.float64) / result.lengths
    return accuracy, accuracy - accuracy[adapters.index("backbone")]


def _clients(result: CohortResult, correct: Correct, adapters: Sequence[str]) -> pa.Table:
    accuracy, gain = _per_client(result, correct, adapters)
    shape = accuracy.shape
    losses = result.losses.sum(axis=2, dtype=np.float64, where=result.within)
    return schema.make(
        "clients",
        {
            "client": np.broadcast_to(result.clients, shape).ravel(),
            "natural_client": pa.nulls(accuracy.size)
            if result.owners is None
            else np.broadcast_to(result.owners, shape).ravel(),
            "adapter": _named(adapters, shape[1]),
            "protocol": _named([result.protocol], accuracy.size),
            "images": np.broadcast_to(result.lengths, shape).ravel(),
            "correct": correct.sum(axis=2).ravel(),
            "accuracy": accuracy.ravel(),
            "gain": gain.ravel(),
            "nll": (losses / result.lengths).ravel(),
        },
    )


@dataclass(frozen=True)
class _Drifts:
    """Every drift of a cohort.

    Args:
        row: The client's row in the cohort.
        segment: The segment that it opens.
        step: Its first step.
        before: First step of the window before it, cut at the drift before.
        after: End of the horizon after it, cut at the next drift.
    """

    row: NDArray[np.int64]
    segment: NDArray[np.int64]
    step: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]

    @staticmethod
    def of(result: CohortResult, window: int, horizon: int) -> "_Drifts":
        row, segment = np.nonzero((result.plan.severity > 0) & (result.plan.starts < result.lengths[:, None]))
        step = result.plan.starts[row, segment]
        same = row[1:] == row[:-1]
        previous = np.where(np.append(False, same), np.append(0, step[:-1]), 0)
        following = np.where(np.append(same, False), np.append(step[1:], 0), result.lengths[row])
        return _Drifts(row, segment, step, np.maximum(previous, step - window), np.minimum(following, step + horizon))

    def where(self, kept: NDArray[np.bool_]) -> "_Drifts":
        """Some of them."""
        return _Drifts(*(part[kept] for part in vars(self).values()))

    def placebos(self, lengths: NDArray[np.int64], window: int, horizon: int) -> "_Drifts":
        """Points where nothing drifts: the latest of each stretch between drifts that has a window before and a horizon after."""
        row = np.concatenate([np.arange(len(lengths)), self.row])
        start = np.concatenate([np.zeros(len(lengths), dtype=np.int64), self.step])
        order = np.lexsort((start, row))
        row, start = row[order], start[order]
        same = row[1:] == row[:-1]
        stop = np.where(np.append(same, False), np.append(start[1:], 0), lengths[row])
        step = stop - horizon
        found = _Drifts(row, np.zeros_like(row), step, step - window, stop)
        return found.where(step - window >= start)


def _between(
    correct: Correct, row: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Right predictions of each adapter in [start, stop) of a client, [A, number of rows]."""
    total = np.cumsum(correct, axis=2, dtype=np.float64)
    total = np.concatenate([np.zeros((*total.shape[:2], 1)), total], axis=2)
    return total[:, row, stop] - total[:, row, start]


def _around(
    correct: Correct, drifts: _Drifts, window: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Images and right predictions before and after each drift."""
    stop = np.minimum(drifts.after, drifts.step + window)
    before = _between(correct, drifts.row, drifts.before, drifts.step)
    after = _between(correct, drifts.row, drifts.step, stop)
    return drifts.step - drifts.before, before, stop - drifts.step, after


def _drift_rows(
    result: CohortResult, correct: Correct, adapters: Sequence[str], drifts: _Drifts, window: int
) -> pa.Table:
    images_before, before, images_after, after = _around(correct, drifts, window)
    number = np.cumsum(result.plan.severity > 0, axis=1)[drifts.row, drifts.segment]
    superclass = result.plan.superclass

    return schema.make(
        "drifts",
        {
            "client": _repeated(adapters, result.clients[drifts.row]),
            "drift": _repeated(adapters, number),
            "step": _repeated(adapters, drifts.step),
            "severity": _repeated(adapters, result.plan.severity[drifts.row, drifts.segment]),
            "superclass_before": _repeated(adapters, superclass[drifts.row, drifts.segment - 1]),
            "superclass_after": _repeated(adapters, superclass[drifts.row, drifts.segment]),
            "adapter": _named(adapters, len(drifts.row)),
            "images_before": _repeated(adapters, images_before),
            "correct_before": before.ravel(),
            "images_after": _repeated(adapters, images_after),
            "correct_after": after.ravel(),
        },
    )


def _events(result: CohortResult, adapters: Sequence[str]) -> pa.Table:
    row, step = np.nonzero(result.within)
    attributes = result.labels.shape[2] if result.labels.ndim == 3 else 1

    count = len(row) * attributes
    numbers = pa.nulls(count * len(adapters))
    if result.labels.ndim == 3:
        numbers = np.tile(np.arange(attributes), len(row) * len(adapters))
    return schema.make(
        "events",
        {
            "client": _repeated(adapters, result.clients[row], attributes),
            "step": _repeated(adapters, step, attributes),
            "adapter": _named(adapters, count),
            "image": _repeated(adapters, result.images[row, step], attributes),
            "attribute": numbers,
            "label": _repeated(adapters, result.labels[row, step].ravel()),
            "prediction": result.predictions[:, row, step].ravel(),
            "confidence": result.confidences[:, row, step].ravel(),
        },
    )


def _adapter_sums(
    result: CohortResult, correct: Correct, adapters: Sequence[str], drifts: _Drifts, window: int
) -> Part:
    accuracy, gain = _per_client(result, correct, adapters)
    images_before, before, images_after, after = _around(correct, drifts, window)
    within = result.within
    persistent = _persistent(result)
    for a, name in enumerate(adapters):
        measures = {
            "clients": len(result.clients),
            "images": result.lengths.sum(),
            "correct": correct[a].sum(),
            "accuracy": accuracy[a].sum(),
            "accuracy_squared": (accuracy[a] ** 2).sum(),
            "gain": gain[a].sum(),
            "gain_squared": (gain[a] ** 2).sum(),
            "nll": result.losses[a].sum(dtype=np.float64, where=within),
            "top5": (result.ranks[a] < 5).sum(where=within) if result.ranks[a].min() >= 0 else np.nan,
            "persistent": persistent,
            "images_before": images_before.sum(),
            "correct_before": before[a].sum(),
            "images_after": images_after.sum(),
            "correct_after": after[a].sum(),
        }
        for measure, value in measures.items():
            if not np.isnan(value):  # what an adapter does not give is left out
                yield "summary", name, 0, measure, value


def _persistent(result: CohortResult) -> float:
    """Images whose class is that of the image before, class 0 before the first: what the blind `last_label` gets right. NaN for
    attributes."""
    if result.labels.ndim == 3:
        return np.nan
    before = np.pad(result.labels[:, :-1], ((0, 0), (1, 0)))
    return float((result.labels == before).sum(where=result.within))


def _class_sums(result: CohortResult, adapters: Sequence[str]) -> Part:
    within, every = result.within, result.right
    labels = result.labels[within]
    if labels.ndim == 2:  # every image has every attribute, there or not
        images = np.full(labels.shape[1], len(labels))
    else:
        images = np.bincount(labels)
    for a, name in enumerate(adapters):
        hit = every[a][within]
        right = hit.sum(axis=0) if labels.ndim == 2 else np.bincount(labels[hit], minlength=len(images))
        for c in np.flatnonzero(images).tolist():
            yield "classes", name, c, "images", images[c]
            yield "classes", name, c, "correct", right[c]


def _calibration_sums(result: CohortResult, adapters: Sequence[str]) -> Part:
    within, right = result.within, result.right
    for a, name in enumerate(adapters):
        confidence = result.confidences[a][within].ravel()
        if np.isnan(confidence).any():  # an adapter without probabilities
            continue
        place = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
        measures = {
            "images": np.bincount(place, minlength=CALIBRATION_BINS),
            "correct": np.bincount(place, right[a][within].ravel(), CALIBRATION_BINS),
            "confidence": np.bincount(place, confidence.astype(np.float64), CALIBRATION_BINS),
        }
        for measure, values in measures.items():
            for number, value in enumerate(values):
                yield "calibration", name, number, measure, value


def _aligned_sums(
    table: str,
    correct: Correct,
    adapters: Sequence[str],
    drifts: _Drifts,
    window: int,
    horizon: int,
) -> Part:
    offsets = np.arange(-window, horizon)
    steps = drifts.step[:, None] + offsets
    inside = (steps >= drifts.before[:, None]) & (steps < drifts.after[:, None])
    images = inside.sum(axis=0)
    steps = np.where(inside, steps, 0)
    for a, name in enumerate(adapters):
        right = (correct[a][drifts.row[:, None], steps] * inside).sum(axis=0)
        for number in np.flatnonzero(images):
            yield table, name, int(offsets[number]), "images", images[number]
            yield table, name, int(offsets[number]), "correct", right[number]


def _metric_sums(
    result: CohortResult,
    correct: Correct,
    adapters: Sequence[str],
    drifts: _Drifts,
    window: int,
    horizon: int,
) -> Part:
    """What `sim.report.drift_metrics` needs beside the aligned curves."""
    placebos = drifts.placebos(result.lengths, window, horizon)
    yield from _aligned_sums("placebo", correct, adapters, placebos, window, horizon)
    followed = drifts.after - drifts.step == horizon
    whole = drifts.where(followed & (drifts.step - drifts.before == window))
    for point, points, censored in (
        ("drift", drifts, len(drifts.row) - followed.sum()),
        ("placebo", placebos, 0),
    ):
        single = whole if point == "drift" else placebos
        drops = np.zeros((len(adapters), 0))
        if horizon >= window:
            drops = client_drops(correct, single.row, single.step, window, horizon)
        for a, name in enumerate(adapters):
            yield "drift_metrics", name, 0, f"{point}_points", len(points.row)
            yield "drift_metrics", name, 0, f"{point}_censored", censored
            yield "drift_metrics", name, 0, f"{point}_client_points", drops.shape[1]
            yield "drift_metrics", name, 0, f"{point}_client_drop", drops[a].sum()
