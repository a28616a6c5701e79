"""decay: a sample of a window of time."""

import numpy as np
from numpy.typing import NDArray

from iciia.policies.base import Arrival, Policy, Slots


class Decay(Policy):
    """Every image enters, in place of a random one, and leaves once it is older than the window.

    With fifo in place of random, a window would be nothing but a smaller capacity.

    Args:
        window: Oldest age, in images, at which an image is still attended to.

    Raises:
        ValueError: The window is not a positive integer.
    """

    name = "decay"

    def __init__(self, window: int = 128) -> None:
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ValueError(f"got a window of {window!r}; expected an integer of 1 or more")
        self.window = window

    def forget(self, slots: Slots, arrival: Arrival) -> NDArray[np.bool_]:
        # by its age when the next image arrives
        return (slots.step >= 0) & (arrival.step + 1 - slots.step > self.window)

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        return (arrival.uniform("decay") * slots.step.shape[1]).astype(np.int64)
