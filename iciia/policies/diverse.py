"""diverse: images far from the rest.

The bank remembers a sketch of each feature: 32 sums of its numbers with random signs, the same signs for all clients. Angles
between sketches estimate angles between features, at 32 multiply-adds an image in the bank instead of D.

Source of the sketch: Achlioptas, "Database-friendly random projections", 2003.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms
from iciia.policies.base import Array, Arrival, Policy, Slots

SKETCH = 32
"""Numbers in a sketch."""


class Diverse(Policy):
    """Every image enters, in place of the one that it resembles most (by cosine).

    So crowded regions of the feature space are renewed in their own few places, and an image far from everything stays.
    """

    name = "diverse"

    def memory(self, clients: int, capacity: int, features: int, classes: int) -> dict[str, Array]:
        return {"sketch": np.zeros((clients, capacity, SKETCH), dtype=np.float32)}

    def macs(self, capacity: int, features: int, classes: int) -> int:
        return SKETCH * (features + capacity)

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        sketch = slots.memory["sketch"]
        likeness = np.matmul(sketch, _sketch(arrival.feature)[:, :, None])[
            :, :, 0
        ]  # client by client: exact in any cohort
        return likeness.argmax(axis=1)

    def placed(self, slots: Slots, arrival: Arrival, rows: NDArray[np.integer], slot: NDArray[np.integer]) -> None:
        slots.memory["sketch"][rows, slot] = _sketch(arrival.feature)[rows]


def _sketch(feature: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sketches of unit length, [K, 32], of features [K, D]."""
    sums = np.matmul(feature[:, None, :], _signs(feature.shape[1]))[:, 0]
    length = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
    return sums / np.maximum(length, np.float32(1e-12))


@functools.lru_cache(maxsize=8)
def _signs(features: int) -> NDArray[np.float32]:
    """Random signs, [D, 32]; part of the policy, not of a scenario's seed."""
    draws = uniforms(0, "policy/diverse/signs", np.arange(features)[:, None], np.arange(SKETCH))
    return np.where(draws < 0.5, -1.0, 1.0).astype(np.float32)
