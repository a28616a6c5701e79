"""Answers about banks: which are worth their bytes and multiply-adds, how small one may be, what a drift does to it, and whom it
fails.

Made of the sums over all cohorts; a row for each adapter.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from iciia.adapters import Adapter, IciiaAdapter
from sim.cohort.result import CohortResult
from sim.cohort.staleness import MEASURES, images_since_drift

POINT = 0.01
"""What counts as nearly as accurate."""

DECILE = 0.1

STEPS_OF_ACCURACY = 1_000_000
"""The worst decile knows each client's accuracy and gain to this part of 1."""
Rows = list[dict[str, object]]
Part = Iterator[tuple[str, str, int, str, float]]


def answer_sums(result: CohortResult, adapters: Sequence[str], window: int) -> Part:
    """A cohort's part of the sums: how many clients have which accuracy, and which gain over the backbone; and what attention
    used, by windows of images since the last drift."""
    accuracy = result.correct.sum(axis=2) / result.lengths  # [A, K]
    gain = accuracy - accuracy[adapters.index("backbone")]
    for a, name in enumerate(adapters):
        for measure, values in (("accuracy", accuracy[a]), ("gain", gain[a])):
            rounded = np.rint(values * STEPS_OF_ACCURACY).astype(np.int64)
            for key, clients in zip(*np.unique(rounded, return_counts=True), strict=True):
                yield "answers", name, int(key), measure, clients
    if result.staleness:
        number = images_since_drift(result.plan, result.segments) // window
        within = result.within
        for name, values in result.staleness.items():
            images = np.bincount(number[within])
            for key in np.flatnonzero(images).tolist():
                yield "staleness", name, key, "images", images[key]
                for measure, value in zip(MEASURES, values, strict=True):
                    yield "staleness", name, key, measure, value[(number == key) & within].sum(dtype=np.float64)


def answers(
    sums: Mapping[tuple[str, str, int, str], float],
    adapters: Mapping[str, Adapter],
    summary: Rows,
    drift_metrics: Rows,
) -> Rows:
    """The `answers` table.

    Args:
        sums: Of all cohorts.
        adapters: The adapters by name.
        summary: Rows of the summary.
        drift_metrics: Rows of drops and recoveries.
    """
    at_drifts = {str(row["adapter"]): row for row in drift_metrics if row["point"] == "drift"}
    seen = [row for row in summary if row["sees"] == "images"]
    frontiers = {cost: _frontier(seen, cost) for cost in ("state_bytes", "macs_per_image")}
    smallest = _smallest(seen)
    rows: Rows = []
    for row in summary:
        name = str(row["adapter"])
        adapter = adapters[name]
        rows.append(
            {
                "adapter": name,
                "protocol": row["protocol"],
                "bank": bank_of(name) if adapter.capacity is not None else None,
                "policy": row["bank_policy"],
                "storage": row["bank_storage"],
                **{
                    key: row[key]
                    for key in ("bank_capacity", "sees", "knows", "accuracy", "gain", "gain_ci_low", "gain_ci_high")
                },
                **{key: row[key] for key in ("state_bytes", "macs_per_image")},
                "on_bytes_frontier": name in frontiers["state_bytes"],
                "on_macs_frontier": name in frontiers["macs_per_image"],
                "smallest_within_a_point": name in smallest,
                "drop": at_drifts[name]["drop"],
                "recovery_images": at_drifts[name]["recovery"],
                **{key: row[key] for key in ("worst_decile_accuracy", "worst_decile_gain")},
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


def bank_columns(adapter: Adapter) -> dict[str, object]:
    """What a bank is: how large, which images it keeps, and how."""
    own = adapter if isinstance(adapter, IciiaAdapter) else None
    return {
        "bank_capacity": adapter.capacity,
        "bank_policy": own and own.policy.name,
        "bank_storage": own and str(own.storage).removeprefix("torch."),
    }


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


def worst_clients(sums: Mapping[tuple[str, str, int, str], float], name: str) -> dict[str, float]:
    """Accuracy and gain of an adapter's worst client, and of the worst tenth of the clients, each by its own measure."""
    found = {}
    for measure in ("accuracy", "gain"):
        counts = {
            key: int(value)
            for (table, of, key, one), value in sums.items()
            if (table, of, one) == ("answers", name, measure)
        }
        found[f"worst_client_{measure}"] = min(counts) / STEPS_OF_ACCURACY
        found[f"worst_decile_{measure}"] = worst_decile(counts) / STEPS_OF_ACCURACY
    return found


def worst_decile(counts: Mapping[int, int]) -> float:
    """Mean over the tenth of the clients (rounded up) with the lowest values.

    Args:
        counts: Clients by value.
    """
    values = np.repeat(sorted(counts), [counts[key] for key in sorted(counts)])
    return float(values[: int(np.ceil(DECILE * len(values)))].mean())
