"""BBSE: how much likelier each class is than at the source, solved from what the backbone predicts, following the history.

Source: Lipton et al., arXiv 1802.03916; on a stream, Wu et al., arXiv 2107.04520.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity, log_scores
from iciia.adapters.source import Source
from iciia.adapters.window import Window, window_means
from iciia.overhead import Cost

RIDGE = 1e-8


class BbseAdapter(Adapter):
    """w = (Cs^T Cs + 1e-8 I)^-1 Cs^T mu, clipped at 0, with Cs the confusion matrix of the source and mu the mean p over the last N
    images and the image itself; then w * p. p is calibrated. Where w * p is 0 for every class, p itself.

    Args:
        source: Temperature and confusion matrix.
        capacity: N.

    Raises:
        ValueError: The capacity is negative.
    """

    kind = "bbse"

    def __init__(self, source: Source, capacity: int = 64) -> None:
        self.source = source
        self.capacity: int = checked_capacity(capacity)
        self.solution = bbse_solution(source)

    def start(self, clients: NDArray[np.int64], seed: int) -> Window:
        return Window.empty(len(clients), self.capacity, self.source.classes)

    def predict(self, state: Window, chunk: Chunk) -> tuple[Tensor, Window]:
        p = self.source.probabilities(chunk.logits)
        rows, after = state.join(p)
        mean = window_means(rows, state.visible(chunk.logits.shape[1]))
        return weighted_scores(mean @ self.solution.t(), p), after

    def cost(self) -> Cost:
        """C^2 for w, C for its product with p. The C^2 numbers of the solution are shared."""
        c = self.source.classes
        macs = c * c + c
        return Cost(
            macs_per_image=macs, macs_module=macs, state_bytes=4 * self.capacity * c, parameters=self.solution.numel()
        )


def bbse_solution(source: Source) -> Tensor:
    """(Cs^T Cs + 1e-8 I)^-1 Cs^T, float64 [C, C]: times a mean p it is w."""
    confusion = source.confusion
    normal = confusion.T @ confusion + RIDGE * np.eye(source.classes)
    return torch.from_numpy(np.linalg.solve(normal, confusion.T))


def weighted_scores(weights: Tensor, p: Tensor) -> Tensor:
    """Scores of w * p with w clipped at 0, [K, T, C]; of p itself where that leaves nothing."""
    weighted = weights.clamp_min(0.0) * p
    nothing = weighted.sum(dim=-1, keepdim=True) == 0
    return log_scores(torch.where(nothing, p.double(), weighted))
