"""Which device each client has."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms


def draw_devices(shares: Mapping[str, float], seed: int, clients: NDArray[np.integer]) -> NDArray[np.int64]:
    """The device of each client, a number in the order of the shares: a pure function of the seed and the client.

    Args:
        shares: Share of each device among all clients; they are taken as parts of their sum.
        seed: The scenario's seed.
        clients: Client numbers, [K].

    Returns:
        int64 [K].
    """
    reached = np.cumsum(list(shares.values()))
    drawn = uniforms(seed, "device", clients) * reached[-1]
    return np.minimum(np.searchsorted(reached, drawn, side="right"), len(reached) - 1)
