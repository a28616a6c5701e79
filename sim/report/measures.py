"""A cohort's part of the sums."""

from collections.abc import Sequence

import numpy as np

from sim.cohort.result import CohortResult
from sim.report.around_drifts import Correct, Drifts, around
from sim.report.drift_metrics import client_drops
from sim.report.rows import per_client
from sim.report.sums import Part

CALIBRATION_BINS = 15


def adapter_sums(result: CohortResult, correct: Correct, adapters: Sequence[str], drifts: Drifts, window: int) -> Part:
    """What `summary` is made of."""
    accuracy, gain = per_client(result, correct, adapters)
    images_before, before, images_after, after = around(correct, drifts, window)
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


def class_sums(result: CohortResult, adapters: Sequence[str]) -> Part:
    """What `classes` is made of."""
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


def calibration_sums(result: CohortResult, adapters: Sequence[str]) -> Part:
    """What `calibration` is made of."""
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


def aligned_sums(
    table: str,
    correct: Correct,
    adapters: Sequence[str],
    drifts: Drifts,
    window: int,
    horizon: int,
) -> Part:
    """What `aligned` is made of: right predictions by the distance to a drift."""
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


def metric_sums(
    result: CohortResult,
    correct: Correct,
    adapters: Sequence[str],
    drifts: Drifts,
    window: int,
    horizon: int,
) -> Part:
    """What `sim.report.drift_metrics` needs beside the aligned curves."""
    placebos = drifts.placebos(result.lengths, window, horizon)
    yield from aligned_sums("placebo", correct, adapters, placebos, window, horizon)
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
