"""The rows of a cohort: tables with a row for each client, window, drift or prediction."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.cohort.result import CohortResult, Fleet
from sim.report import schema
from sim.report.around_drifts import Correct, Drifts, around


def named(adapters: Sequence[str], per_adapter: int) -> pa.DictionaryArray:
    """The adapter column of rows that come adapter by adapter; of a single name, a column that holds it everywhere."""
    codes = np.repeat(np.arange(len(adapters), dtype=np.int32), per_adapter)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(adapters), pa.string()))


def repeated(adapters: Sequence[str], values: NDArray[np.generic], each: int = 1) -> NDArray[np.generic]:
    """A column that is the same for all adapters, of rows that come adapter by adapter; every value `each` times."""
    return np.tile(np.repeat(values, each), len(adapters))


def window_rows(result: CohortResult, correct: Correct, adapters: Sequence[str], window: int) -> pa.Table:
    """Right predictions of every client in every window, adapter by adapter."""
    steps = np.arange(0, correct.shape[2], window)
    right = np.add.reduceat(correct, steps, axis=2, dtype=np.float64)  # [A, K, W]
    images = np.clip(result.lengths[:, None] - steps, 0, window)  # [K, W]
    row, number = np.nonzero(images)

    return schema.make(
        "windows",
        {
            "client": repeated(adapters, result.clients[row]),
            "window": repeated(adapters, number),
            "step": repeated(adapters, steps[number]),
            "adapter": named(adapters, len(row)),
            "protocol": named([result.protocol], len(row) * len(adapters)),
            "images": repeated(adapters, images[row, number]),
            "correct": right[:, row, number].ravel(),
        },
    )


def per_client(
    result: CohortResult, correct: Correct, adapters: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy of each adapter and client, and its gain over the backbone, each [A, K]."""
    accuracy = correct.sum(axis=2, dtype=np.float64) / result.lengths
    return accuracy, accuracy - accuracy[adapters.index("backbone")]


def client_rows(result: CohortResult, correct: Correct, adapters: Sequence[str]) -> pa.Table:
    """Accuracy, gain and loss of every client, adapter by adapter."""
    accuracy, gain = per_client(result, correct, adapters)
    shape = accuracy.shape
    losses = result.losses.sum(axis=2, dtype=np.float64, where=result.within)
    return schema.make(
        "clients",
        {
            "client": np.broadcast_to(result.clients, shape).ravel(),
            "natural_client": pa.nulls(accuracy.size)
            if result.owners is None
            else np.broadcast_to(result.owners, shape).ravel(),
            "device": pa.nulls(accuracy.size) if result.fleet is None else _devices(result.fleet, len(adapters)),
            "adapter": named(adapters, shape[1]),
            "fitted_capacity": pa.nulls(accuracy.size)
            if result.fleet is None
            else pa.concat_arrays([_fitted(result.fleet, name) for name in adapters]),
            "protocol": named([result.protocol], accuracy.size),
            "images": np.broadcast_to(result.lengths, shape).ravel(),
            "correct": correct.sum(axis=2).ravel(),
            "accuracy": accuracy.ravel(),
            "gain": gain.ravel(),
            "nll": (losses / result.lengths).ravel(),
        },
    )


def _devices(fleet: Fleet, adapters: int) -> pa.DictionaryArray:
    """The device column of rows that come adapter by adapter."""
    codes = np.tile(fleet.device.astype(np.int32), adapters)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(fleet.names), pa.string()))


def _fitted(fleet: Fleet, adapter: str) -> pa.Array:
    """The clients' bank capacities under an adapter that fits them to devices; nulls for any other."""
    found = fleet.fitted.get(adapter)
    return pa.nulls(len(fleet.device), pa.int64()) if found is None else pa.array(found, pa.int64())


def drift_rows(
    result: CohortResult, correct: Correct, adapters: Sequence[str], drifts: Drifts, window: int
) -> pa.Table:
    """Right predictions before and after every drift, adapter by adapter."""
    images_before, before, images_after, after = around(correct, drifts, window)
    number = np.cumsum(result.plan.severity > 0, axis=1)[drifts.row, drifts.segment]
    superclass = result.plan.superclass

    return schema.make(
        "drifts",
        {
            "client": repeated(adapters, result.clients[drifts.row]),
            "drift": repeated(adapters, number),
            "step": repeated(adapters, drifts.step),
            "severity": repeated(adapters, result.plan.severity[drifts.row, drifts.segment]),
            "superclass_before": repeated(adapters, superclass[drifts.row, drifts.segment - 1]),
            "superclass_after": repeated(adapters, superclass[drifts.row, drifts.segment]),
            "adapter": named(adapters, len(drifts.row)),
            "images_before": repeated(adapters, images_before),
            "correct_before": before.ravel(),
            "images_after": repeated(adapters, images_after),
            "correct_after": after.ravel(),
        },
    )


def event_rows(result: CohortResult, adapters: Sequence[str]) -> pa.Table:
    """Every prediction, adapter by adapter."""
    row, step = np.nonzero(result.within)
    attributes = result.labels.shape[2] if result.labels.ndim == 3 else 1

    count = len(row) * attributes
    numbers = pa.nulls(count * len(adapters))
    if result.labels.ndim == 3:
        numbers = np.tile(np.arange(attributes), len(row) * len(adapters))
    return schema.make(
        "events",
        {
            "client": repeated(adapters, result.clients[row], attributes),
            "step": repeated(adapters, step, attributes),
            "adapter": named(adapters, count),
            "image": repeated(adapters, result.images[row, step], attributes),
            "attribute": numbers,
            "label": repeated(adapters, result.labels[row, step].ravel()),
            "prediction": result.predictions[:, row, step].ravel(),
            "confidence": result.confidences[:, row, step].ravel(),
        },
    )
