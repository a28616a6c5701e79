"""cstu: room for each predicted class, filled with what is young and certain.

Source: after RoTTA's category-balanced sampling with timeliness and uncertainty (Yuan et al., CVPR 2023, arXiv 2303.13899). Theirs
gives each of all C classes N / C places; here the room is shared between the classes that the bank really holds, since a client
meets few of many classes.
"""

import numpy as np
from numpy.typing import NDArray

from iciia.policies.base import Arrival, Policy, Slots
from iciia.policies.class_balanced import count_classes


class Cstu(Policy):
    """An image competes inside its own predicted class if that has its room, and else inside the most frequent one.

    The loser is the image with the largest 1 / (1 + exp(-age / N)) + entropy / log C. The new image has age 0 and can lose
    itself.
    """

    name = "cstu"
    of_classes = True
    records = ("predicted", "entropy")

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        predicted, used = slots.records["predicted"], slots.step >= 0
        capacity = used.shape[1]
        count = count_classes(predicted, used, arrival.logits.shape[1])
        own = np.take_along_axis(count, arrival.predicted[:, None].astype(np.int64), axis=1)[:, 0]
        classes = (count > 0).sum(axis=1) + (own == 0)
        contested = np.where(own * classes >= capacity, arrival.predicted, count.argmax(axis=1))
        badness = _timeliness(arrival.step - slots.step, capacity) + slots.records["entropy"]
        badness = np.where(used & (predicted == contested[:, None]), badness, -np.inf)
        loser = badness.argmax(axis=1)
        worst = np.take_along_axis(badness, loser[:, None], axis=1)[:, 0]
        return np.where(worst > 0.5 + arrival.entropy, loser, -1)


def _timeliness(age: NDArray[np.integer], capacity: int) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-age / capacity))
