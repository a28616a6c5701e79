"""Answers about banks: which are worth their bytes and multiply-adds, how small one may be, what a drift does to it, and whom it
fails.

Made of the sums over all cohorts; a row for each adapter.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from iciia.adapters import Adapter, IciiaAdapter
from sim.client import CohortResult
from sim.staleness import MEASURES, images_since_drift

POINT = 0.01
"""What counts as nearly as accurate."""

DECILE = 0.1
BACK = 0.9
"""Share of the accuracy before a drift at which a bank has recovered."""

Rows = list[dict[str, object]]
Part = Iterator[tuple[str, str, int, str, float]]


def answer_sums(result: CohortResult, adapters: Sequence[str], window: int) -> Part:
    """A cohort's part of the sums: how many clients have so many right predictions, and so many more than the backbone; and what
    attention used, by windows of images since the last drift."""
    right = result.correct.sum(axis=2, dtype=np.int64)  # [A, K]
    more = right - right[adapters.index("backbone")]
    for a, name in enumerate(adapters):
        for measure, counts in (("accuracy", right[a]), ("gain", more[a])):
            for key, clients in zip(*np.unique(counts, return_counts=True), strict=True):
                yield "answers", name, int(key), measure, clients
    if result.staleness:
        number = images_since_drift(result.plan, result.segments) // window
        for name, values in result.staleness.items():
            images = np.bincount(number.ravel())
            for key in np.flatnonzero(images).tolist():
                yield "staleness", name, key, "images", images[key]
                for measure, value in zip(MEASURES, values, strict=True):
                    yield "staleness", name, key, measure, value[number == key].sum(dtype=np.float64)


def answers(
    sums: Mapping[tuple[str, str, int, str], float],
    adapters: Mapping[str, Adapter],
    summary: Rows,
    aligned: Rows,
    window: int,
) -> Rows:
    """The `answers` table.

    Args:
        sums: Of all cohorts.
        adapters: The adapters by name.
        summary: Rows of the summary.
        aligned: Rows of accuracy by images since a drift.
        window: Images in a window.
    """
    counts: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for (table, name, key, measure), value in sums.items():
        if table == "answers":
            counts[name, measure][key] = int(value)
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for row in aligned:
        curves[str(row["adapter"])][int(str(row["offset"]))] = float(str(row["accuracy"]))
    seen = [row for row in summary if row["sees"] == "images"]
    frontiers = {cost: _frontier(seen, cost) for cost in ("state_bytes", "macs_per_image")}
    smallest = _smallest(seen)
    rows: Rows = []
    for row in summary:
        name = str(row["adapter"])
        adapter = adapters[name]
        clients, images = int(str(row["clients"])), int(str(row["images"]))
        length = images // clients
        drop, recovery = recovery_of(curves[name], window)
        rows.append(
            {
                "adapter": name,
                "bank": bank_of(name) if adapter.capacity is not None else None,
                "policy": adapter.policy.name if isinstance(adapter, IciiaAdapter) else None,
                "storage": str(adapter.storage).removeprefix("torch.") if isinstance(adapter, IciiaAdapter) else None,
                **{
                    key: row[key]
                    for key in ("bank_capacity", "sees", "accuracy", "gain", "gain_ci_low", "gain_ci_high")
                },
                **{key: row[key] for key in ("state_bytes", "macs_per_image")},
                "on_bytes_frontier": name in frontiers["state_bytes"],
                "on_macs_frontier": name in frontiers["macs_per_image"],
                "smallest_within_a_point": name in smallest,
                "drop": drop,
                "recovery_images": recovery,
                "worst_decile_accuracy": worst_decile(counts[name, "accuracy"]) / length,
                "worst_decile_gain": worst_decile(counts[name, "gain"]) / length,
            }
        )
    return rows


def staleness(sums: Mapping[tuple[str, str, int, str], float], window: int) -> Rows:
    """The `staleness` table."""
    rows: Rows = []
    for (table, name, key, measure), images in sorted(sums.items()):
        if (table, measure) == ("staleness", "images"):
            age, current, itself = (sums["staleness", name, key, m] / images for m in MEASURES)
            rows.append(
                {
                    "adapter": name,
                    "images_since_drift": key * window,
                    "images": int(images),
                    "age_images": age,
                    "bank_weight_on_current_subset": current,
                    "weight_on_itself": itself,
                }
            )
    return rows


def bank_of(name: str) -> str:
    """An adapter's name without its capacity."""
    return name.rpartition("-")[0]


def _frontier(rows: Rows, cost: str) -> set[str]:
    """Adapters that no other beats: none is at least as accurate for less, or more accurate for as much."""
    found, best = set(), -1.0
    for row in sorted(rows, key=lambda row: (float(str(row[cost])), -float(str(row["accuracy"])))):
        if float(str(row["accuracy"])) > best:
            best = float(str(row["accuracy"]))
            found.add(str(row["adapter"]))
    return found


def _smallest(rows: Rows) -> set[str]:
    """Of each bank's capacities, the smallest that is within a point of the best."""
    banks: dict[str, Rows] = defaultdict(list)
    for row in rows:
        if row["bank_capacity"] is not None:
            banks[bank_of(str(row["adapter"]))].append(row)
    found = set()
    for members in banks.values():
        best = max(float(str(row["accuracy"])) for row in members)
        near = [row for row in members if float(str(row["accuracy"])) >= best - POINT]
        found.add(str(min(near, key=lambda row: int(str(row["bank_capacity"])))["adapter"]))
    return found


def recovery_of(curve: Mapping[int, float], window: int) -> tuple[float | None, int | None]:
    """What a drift costs, on the curve pooled over clients and drifts.

    Args:
        curve: Accuracy by images since the drift, negative before it.
        window: w.

    Returns:
        The mean of the w images before minus the lowest mean of w images after; and the images from the drift to the start of the
        first window that is back at 90 % of the level before (0 if none falls below). None where the curve does not reach.
    """
    before = [curve[offset] for offset in range(-window, 0) if offset in curve]
    after = _means([curve[offset] for offset in range(max(curve, default=-1) + 1) if offset in curve], window)
    if len(before) < window or len(after) == 0:
        return None, None
    level = float(np.mean(before))
    low = after < BACK * level
    if not low.any():
        return level - float(after.min()), 0
    back = np.flatnonzero(~low & (np.arange(len(low)) > low.argmax()))
    return level - float(after.min()), int(back[0]) if len(back) else None


def _means(values: list[float], window: int) -> NDArray[np.float64]:
    """Means of all windows that lie wholly inside."""
    if len(values) < window:
        return np.zeros(0)
    return np.convolve(values, np.full(window, 1 / window), mode="valid")


def worst_decile(counts: Mapping[int, int]) -> float:
    """Mean over the tenth of the clients (rounded up) with the lowest values.

    Args:
        counts: Clients by value.
    """
    values = np.repeat(sorted(counts), [counts[key] for key in sorted(counts)])
    return float(values[: int(np.ceil(DECILE * len(values)))].mean())
