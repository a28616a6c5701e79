"""How well adapters detect drifts: recall, delay and false alarms, beside detectors that need no eyes.

An alarm detects a drift if it is the first one from the drift's step on, within the horizon and before the next drift. Every
other alarm is false, further ones for the same drift too: a detector that fires always would else be the best.

At random is what a detector of the same rate r of alarms gets that looks at nothing, exactly: of a drift with L images inside
the horizon it misses (1 - r)^L on average.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.cohort.result import CohortResult
from sim.report.around_drifts import Drifts
from sim.report.sums import Part, Sums

Rows = list[dict[str, object]]

EVERY = ""
"""Stands for all adapters in sums that are the same for each."""


def detection_sums(result: CohortResult, drifts: Drifts) -> Part:
    """A cohort's part of the sums: of each adapter that detects, and the drifts by how many images there are to detect them
    in."""
    if not result.alarms:
        return
    room, distance = drifts.after - drifts.step, drifts.following - drifts.step
    for length in np.unique(room).tolist():
        of_length = room == length
        yield "detections", EVERY, length, "drifts", of_length.sum()
        yield "detections", EVERY, length, "nearness", (1 / distance[of_length]).sum()
    for name, alarms in result.alarms.items():
        alarms = alarms & result.within
        first = _next_alarm(alarms)[drifts.row, drifts.step]
        detected = first < drifts.after
        yield "detections", name, 0, "images", result.lengths.sum()
        yield "detections", name, 0, "alarms", alarms.sum()
        yield "detections", name, 0, "detected", detected.sum()
        yield "detections", name, 0, "delay", ((first - drifts.step) / distance).sum(where=detected)


def _next_alarm(alarms: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The step of the first alarm from each step on, [K, T]; T where there is none."""
    steps = np.where(alarms, np.arange(alarms.shape[1]), alarms.shape[1])
    return np.minimum.accumulate(steps[:, ::-1], axis=1)[:, ::-1]


def detections(sums: Sums, adapters: Sequence[str]) -> Rows:
    """The `detections` table.

    Args:
        sums: Of all cohorts.
        adapters: Their names, in order.
    """
    of_all: dict[int, dict[str, float]] = {}
    of_one: dict[str, dict[str, float]] = {}
    for (table, name, key, measure), value in sums.items():
        if table == "detections":
            part = of_all.setdefault(key, {}) if name == EVERY else of_one.setdefault(name, {})
            part[measure] = value
    rows = []
    drifts = int(sum(of_length["drifts"] for of_length in of_all.values()))
    for name in adapters:
        if name not in of_one:
            continue
        of = of_one[name]
        chance = _at_random(of_all, of["alarms"] / of["images"])
        rows.append(_row(name, "itself", drifts, of["images"], of["detected"], of["delay"], of["alarms"]))
        rows.append(_row(name, "random", drifts, of["images"], *chance, of["alarms"]))
    if of_one:
        images = next(iter(of_one.values()))["images"]
        rows.append(_row(None, "always", drifts, images, drifts, 0.0, images))
        rows.append(_row(None, "never", drifts, images, 0.0, 0.0, 0.0))
    return rows


def _at_random(drifts: Mapping[int, Mapping[str, float]], rate: float) -> tuple[float, float]:
    """Drifts that alarms of a rate detect on average, and the sum of their normalised delays."""
    detected, delay = 0.0, 0.0
    for length, value in drifts.items():
        first = rate * (1 - rate) ** np.arange(length)  # how likely the first alarm is at each image
        detected += value["drifts"] * float(first.sum())
        delay += value["nearness"] * float((first * np.arange(length)).sum())
    return detected, delay


def _row(
    adapter: str | None, detector: str, drifts: int, images: float, detected: float, delay: float, alarms: float
) -> dict[str, Any]:
    return {
        "adapter": adapter,
        "detector": detector,
        "drifts": drifts,
        "detected": detected,
        "recall": detected / drifts if drifts else None,
        "delay": delay / detected if detected else None,
        "images": int(images),
        "alarms": alarms,
        "false_alarms": alarms - detected,
        "false_alarms_per_1000": 1000 * (alarms - detected) / images,
    }
