"""EM prior: the client's class prior, estimated from its latest probabilities, in place of the source's.

Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", 2002.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity, log_scores
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost

MOST_ITERATIONS = 100
SMALLEST_CHANGE = 1e-4


class EmPriorAdapter(Adapter):
    """q starts at the source prior pi; q <- mean over the last N images and the image itself of normalise(q / pi * p_i), until q
    changes by less than 1e-4 (L1) or 100 times, afresh at each step; then q / pi * p. p is calibrated.

    Args:
        source: Temperature and source prior.
        capacity: N.

    Raises:
        ValueError: The capacity is negative.
    """

    kind = "em_prior"

    def __init__(self, source: Source, capacity: int = 64) -> None:
        self.source = source
        self.capacity: int = checked_capacity(capacity)
        self.prior = torch.from_numpy(np.array(source.prior))

    def start(self, clients: NDArray[np.int64], seed: int) -> Window:
        return Window.empty(len(clients), self.capacity, self.source.classes)

    def predict(self, state: Window, chunk: Chunk) -> tuple[Tensor, Window]:
        p = self.source.probabilities(chunk.logits)
        q, after = self.estimate(state, p)
        return log_scores(q / self.prior * p), after

    def estimate(self, state: Window, p: Tensor) -> tuple[Tensor, Window]:
        """q at each step, float64 [K, T, C], of calibrated probabilities, [K, T, C], and the window after them."""
        visible = state.visible(p.shape[1]).double()
        rows, after = state.join(p)
        return torch.stack([self._of_client(of_client, visible) for of_client in rows.double()]), after

    def _of_client(self, p: Tensor, visible: Tensor) -> Tensor:
        """The prior of one client at each step, float64 [T, C], of p, [S, C]; each step stops by itself."""
        q = self.prior.repeat(len(visible), 1)
        going = torch.arange(len(visible))
        share = visible / visible.sum(dim=1, keepdim=True)
        for _ in range(MOST_ITERATIONS):
            before = q[going]
            ratio = before / self.prior
            total = (ratio @ p.t()).clamp_min(torch.finfo(torch.float64).tiny)  # [t, S]
            after = ratio * ((share[going] / total) @ p)
            q[going] = after
            going = going[(after - before).abs().sum(dim=1) >= SMALLEST_CHANGE]
            if not len(going):
                break
        return q

    def cost(self) -> Cost:
        """Two products with N + 1 rows of C probabilities in each iteration, at most 100 of them."""
        macs = MOST_ITERATIONS * 2 * (self.capacity + 1) * self.source.classes
        state_bytes = 4 * self.capacity * self.source.classes
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=state_bytes)
