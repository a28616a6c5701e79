"""What attention uses: how old it is, and whether it is of the class subset that the client meets now.

Labels and priors are looked at here, on the side of the simulation, after the adapter has predicted.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iciia.adapters import Adapter, IciiaAdapter
from sim.streams.drift import Plan

MEASURES = ("age", "current", "itself")


def measure_staleness(
    adapter: Adapter,
    step: int,
    segments: NDArray[np.int64],
    met: Sequence[NDArray[np.int64]],
    subset: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """What the attention of the chunk that an adapter has just predicted used.

    Args:
        adapter: The adapter.
        step: Stream position of the chunk's first target.
        segments: Segment of the plan at each target, int64 [K, T].
        met: Classes of the images of each chunk so far, the present one's last, int64 [K, T] each.
        subset: Classes of each segment's subset, bool [K, S, C].

    Returns:
        float32 [3, K, T]: mean age, in images, of the bank's images by the weights they get (0 for an empty bank); share of the
        bank's weight on images of the current subset (0 for an empty bank); the target's weight on itself.

    Raises:
        ValueError: The adapter has kept no diagnostics.
    """
    if not isinstance(adapter, IciiaAdapter) or adapter.attention is None or adapter.arrivals is None:
        raise ValueError("the adapter has kept no diagnostics")
    weights, arrivals = adapter.attention.numpy(), adapter.arrivals.numpy()
    clients, targets = segments.shape
    labels = np.concatenate(met, axis=1)
    now = step + np.arange(targets)
    on_itself = np.take_along_axis(
        weights,
        np.broadcast_to((weights.shape[2] - targets + np.arange(targets))[None, :, None], (clients, targets, 1)),
        2,
    )[:, :, 0]
    others = np.maximum(1 - on_itself, 0)
    age = now[None, :, None] - arrivals[:, None, :]
    rows = np.arange(clients)
    of_image = labels[rows[:, None], np.maximum(arrivals, 0)]  # a free slot has no weight, whatever its label
    current = subset[rows[:, None, None], segments[:, :, None], of_image[:, None, :]]
    safe = np.where(others > 1e-6, others, 1)
    aged = (weights * age).sum(axis=2) / safe
    kept = ((weights * current).sum(axis=2) - on_itself * subset[rows[:, None], segments, labels[:, now]]) / safe
    empty = others <= 1e-6
    return np.stack([np.where(empty, 0, aged), np.where(empty, 0, kept), on_itself]).astype(np.float32)


def subsets_of(plan: Plan, reserve_ratio: float, everybody: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Classes of each segment's subset, bool [K, S, C]: those that are likelier than the share of everybody's images alone makes
    them."""
    of_concept = plan.priors > (1 - reserve_ratio) * everybody + 1e-12
    return of_concept[np.arange(len(plan.concept))[:, None], plan.concept]


def images_since_drift(plan: Plan, segments: NDArray[np.int64]) -> NDArray[np.int64]:
    """Images since the client's last drift, or since its stream began, [K, T]."""
    began = np.maximum.accumulate(np.where(plan.severity > 0, plan.starts, 0), axis=1)
    rows = np.arange(len(segments))[:, None]
    return np.arange(segments.shape[1]) - began[rows, segments]
