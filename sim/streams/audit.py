"""What streams really are: class shares planned and drawn, drifts, severity, runs, classes in a window, repeats.

Needs no model, so that a preview audits the same things as a run.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sim.data import Classes
from sim.streams.drift import Plan
from sim.streams.stream import class_counts

AuditSums = Iterator[tuple[str, str, int, str, float]]
"""(table, adapter, key, measure, value); what cohorts give is added."""


def audit_sums(
    plan: Plan,
    images: NDArray[np.int64],
    labels: NDArray[np.int64],
    lengths: NDArray[np.int64],
    window: int,
    largest_bank: int,
) -> AuditSums:
    """A cohort's part of the audit.

    Args:
        plan: Its class priors.
        images: What it saw, [K, T].
        labels: Of which class, [K, T], or with which attributes, [K, T, C].
        lengths: Images in each stream, [K].
        window: Images in a window in which classes are counted; all of the longest stream if that is shorter.
        largest_bank: Repeats are counted within this many images.
    """
    num_clients, steps = images.shape
    within = np.arange(steps) < lengths[:, None]
    planned = plan.planned(plan.segment(0, steps), within).sum(axis=0)
    drawn = class_counts(labels[within], len(planned))
    for c in np.flatnonzero((planned > 0) | (drawn > 0)).tolist():
        yield "audit", "", c, "planned", planned[c]
        yield "audit", "", c, "drawn", drawn[c]
    drifts = (plan.severity > 0) & (plan.starts < lengths[:, None])
    window = min(window, steps)
    windows = steps // window
    whole = labels[:, : windows * window].reshape(num_clients, windows, window, *labels.shape[2:])
    whole = whole[(1 + np.arange(windows)) * window <= lengths[:, None]]
    changed = labels[:, 1:] != labels[:, :-1]
    if labels.ndim == 2:
        whole = np.sort(whole, axis=1)
        distinct = len(whole) + (whole[:, 1:] != whole[:, :-1]).sum()
    else:
        changed, distinct = changed.any(axis=2), whole.any(axis=1).sum()
    yield "streams", "", 0, "clients", num_clients
    yield "streams", "", 0, "drifts", drifts.sum()
    yield "streams", "", 0, "severity", plan.severity[drifts].sum()
    yield "streams", "", 0, "images", lengths.sum()
    yield "streams", "", 0, "repeats", _repeats(np.where(within, images, -1 - np.arange(steps)), largest_bank)
    yield "streams", "", 0, "runs", num_clients + (changed & within[:, 1:]).sum()
    yield "streams", "", 0, "windows", len(whole)
    yield "streams", "", 0, "distinct", distinct


def _repeats(images: NDArray[np.int64], within: int) -> int:
    """How many steps show an image that the same client saw at most `within` steps before."""
    order = np.argsort(images, axis=1, kind="stable")
    ordered = np.take_along_axis(images, order, axis=1)
    return int(((ordered[:, 1:] == ordered[:, :-1]) & (np.diff(order, axis=1) <= within)).sum())


def audit_rows(
    sums: Mapping[tuple[str, str, int, str], float], classes: Classes, split: Mapping[str, int]
) -> list[dict[str, object]]:
    """The rows of the `audit` table.

    Args:
        sums: Of all cohorts.
        classes: The classes.
        split: Images of each part of the data.
    """

    def row(measure: str, name: str, drawn: float | None, planned: float | None = None) -> dict[str, object]:
        return {"measure": measure, "name": name, "planned": planned, "drawn": drawn}

    stream = {measure: value for (table, _, _, measure), value in sums.items() if table == "streams"}
    planned = np.array([sums.get(("audit", "", c, "planned"), 0.0) for c in range(len(classes))])
    drawn = np.array([sums.get(("audit", "", c, "drawn"), 0.0) for c in range(len(classes))])
    rows = [row("images_in_part", part, count) for part, count in split.items()]
    rows.append(row("drifts_per_client", "", stream["drifts"] / stream["clients"]))
    rows.append(row("mean_severity", "", stream["severity"] / stream["drifts"] if stream["drifts"] else None))
    rows.append(row("repeats_within_largest_bank", "", stream["repeats"] / stream["images"]))
    rows.append(row("mean_run_length", "", stream["images"] / stream["runs"]))
    distinct = stream["distinct"] / stream["windows"] if stream["windows"] else None
    rows.append(row("distinct_classes_per_window", "", distinct))
    rows.append(row("images_per_client", "", stream["images"] / stream["clients"]))
    shares = zip(classes.names, planned / planned.sum(), drawn / drawn.sum(), strict=True)
    rows += [row("class_share", name, float(d), float(p)) for name, p, d in shares]
    return rows
