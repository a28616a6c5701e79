"""drift_reset: the latest images, forgotten when the client's own predictions say that its class subset has changed.

The detector is ours, label-free and the same for any capacity. It keeps the sum S of the backbone's probability vectors p since the
last reset (n of them, Q the sum of their squared lengths). While the class distribution stays, the expected overlap of a
new image with the mean so far, p . S / n, is the unbiased estimate (S . S - Q) / (n (n - 1)) of its squared length. Their ratio
is 1 on average then, and near 0 if the new subset shares no class with the old one.
"""

import numpy as np
from numpy.typing import NDArray

from iciia.policies.base import Array, Arrival, Policy, Slots


class DriftReset(Policy):
    """fifo, and a reset: when the ratio's mean over the last `recent` images falls below the threshold, all images but half of
    these leave (by then more than half are of the new subset) and the detector starts anew. It judges from 3 `recent` images on.

    Args:
        recent: Images that the mean is over.
        threshold: Below which the class subset counts as changed.

    Raises:
        ValueError: `recent` is not a positive integer, or the threshold is not between 0 and 1.
    """

    name = "drift_reset"
    of_classes = True

    def __init__(self, recent: int = 16, threshold: float = 0.3) -> None:
        if isinstance(recent, bool) or not isinstance(recent, int) or recent < 1:
            raise ValueError(f"got recent {recent!r}; expected an integer of 1 or more")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold < 1:
            raise ValueError(f"got a threshold of {threshold!r}; expected a number between 0 and 1")
        self.recent = recent
        self.threshold = threshold

    def memory(self, clients: int, capacity: int, features: int, classes: int) -> dict[str, Array]:
        return {
            "sum": np.zeros((clients, classes), dtype=np.float32),
            "squares": np.zeros(clients, dtype=np.float32),
            "images": np.zeros(clients, dtype=np.int32),
            "ratios": np.ones((clients, self.recent), dtype=np.float32),
        }

    def macs(self, capacity: int, features: int, classes: int) -> int:
        return 3 * classes  # p . S, S . S and p . p

    def forget(self, slots: Slots, arrival: Arrival) -> NDArray[np.bool_]:
        memory, p = slots.memory, arrival.probabilities
        total, squares, images = memory["sum"], memory["squares"], memory["images"]
        expected = ((total * total).sum(axis=1) - squares) / np.maximum(images - 1, 1)
        overlap = (p * total).sum(axis=1)
        known = (images > 1) & (expected > 0)
        memory["ratios"][:, arrival.step % self.recent] = np.where(known, overlap / np.where(known, expected, 1), 1.0)
        total += p
        squares += (p * p).sum(axis=1)
        images += 1
        changed = (images >= 3 * self.recent) & (memory["ratios"].mean(axis=1) < self.threshold)
        total[changed], squares[changed], images[changed], memory["ratios"][changed] = 0, 0, 0, 1
        return changed[:, None] & (slots.step >= 0) & (slots.step <= arrival.step - self.recent // 2)

    def alarms(self, slots: Slots, arrival: Arrival) -> NDArray[np.bool_]:
        return np.asarray(slots.memory["images"] == 0)

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        return slots.step.argmin(axis=1)
