"""class_balanced: as many images of every predicted class as possible."""

import numpy as np
from numpy.typing import NDArray

from iciia.policies.base import Array, Arrival, Policy, Slots


class ClassBalanced(Policy):
    """Every image enters, in place of a random one of the bank's most frequent predicted class.

    Of equally frequent classes, the one whose number is lowest gives.
    """

    name = "class_balanced"
    of_classes = True
    records = ("predicted",)

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        predicted = slots.records["predicted"]
        count = count_classes(predicted, slots.step >= 0, arrival.logits.shape[1])
        largest = count.argmax(axis=1)
        chosen = (arrival.uniform("class_balanced") * count.max(axis=1)).astype(np.int64)
        member = (predicted == largest[:, None]) & (slots.step >= 0)
        return (np.cumsum(member, axis=1) > chosen[:, None]).argmax(axis=1)


def count_classes(predicted: Array, used: NDArray[np.bool_], classes: int) -> NDArray[np.int64]:
    """Images of each predicted class in each bank, [K, C]."""
    rows = np.arange(len(predicted), dtype=np.int64)[:, None]
    count = np.bincount((rows * classes + predicted)[used], minlength=len(predicted) * classes)
    return count.reshape(len(predicted), classes)
