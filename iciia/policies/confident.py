"""confident: the images that the backbone is surest of."""

import numpy as np
from numpy.typing import NDArray

from iciia.policies.base import Arrival, Policy, Slots


class Confident(Policy):
    """An image enters if its entropy is below the bank's highest, in place of that image. Nothing ever ages."""

    name = "confident"
    of_classes = True
    records = ("entropy",)

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        entropy = slots.records["entropy"]
        highest = entropy.argmax(axis=1)
        return np.where(arrival.entropy < entropy.max(axis=1), highest, -1)
