"""fifo: the latest images."""

import numpy as np
from numpy.typing import NDArray

from iciia.policies.base import Arrival, Policy, Slots


class Fifo(Policy):
    """Every image enters, in place of the oldest."""

    name = "fifo"

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        return slots.step.argmin(axis=1)
