"""reservoir: a uniform sample of everything the client has met.

Source: Vitter, "Random sampling with a reservoir", 1985 (algorithm R).
"""

import numpy as np
from numpy.typing import NDArray

from iciia.policies.base import Arrival, Policy, Slots


class Reservoir(Policy):
    """At step t, an image enters a bank of N with probability N / (t + 1), in place of a random one."""

    name = "reservoir"

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        place = (arrival.uniform("reservoir") * (arrival.step + 1)).astype(np.int64)
        return np.where(place < slots.step.shape[1], place, -1)
