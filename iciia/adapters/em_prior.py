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
        return self._solve(rows.double(), visible / visible.sum(dim=1, keepdim=True)), after

    def _solve(self, p: Tensor, share: Tensor) -> Tensor:
        """The prior of each client at each step, float64 [K, T, C], of p, [K, S, C], and each row's share in a step, [T, S]; each
        step stops by itself, and a client leaves with the last of its steps."""
        q = self.prior.repeat(len(p), len(share), 1)
        moving = torch.ones(q.shape[:2], dtype=torch.bool)
        for _ in range(MOST_ITERATIONS):
            going = moving.any(dim=1).nonzero().squeeze(1)
            if not len(going):
                break
            before, of_client = q[going], p[going]
            ratio = before / self.prior
            total = (ratio @ of_client.transpose(1, 2)).clamp_min(torch.finfo(torch.float64).tiny)  # [k, T, S]
            after = torch.where(moving[going].unsqueeze(2), ratio * ((share / total) @ of_client), before)
            q[going] = after
            moving[going] = (after - before).abs().sum(dim=2) >= SMALLEST_CHANGE
        return q

    def cost(self) -> Cost:
        """Two products with N + 1 rows of C probabilities in each iteration, at most 100 of them."""
        macs = MOST_ITERATIONS * 2 * (self.capacity + 1) * self.source.classes
        state_bytes = 4 * self.capacity * self.source.classes
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=state_bytes)
