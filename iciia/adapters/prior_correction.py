"""Prior correction: probabilities times a smoothed mean of the latest probabilities.

Source: Marsden, Doebler and Yang, arXiv 2306.00650 (ROID). Theirs takes the mean over a batch, this one over a window.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity, log_scores
from iciia.adapters.source import Source
from iciia.adapters.window import Window, window_means
from iciia.overhead import Cost


class PriorCorrectionAdapter(Adapter):
    """p * (prior + s) / (1 + s C), with prior the mean p over the n images of the window, the last N and the image itself, and
    s = max(1 / n, 1 / C) / max(prior).

    Args:
        source: C.
        capacity: N.

    Raises:
        ValueError: The capacity is negative.
    """

    kind = "prior_correction"

    def __init__(self, source: Source, capacity: int = 64) -> None:
        self.source = source
        self.capacity: int = checked_capacity(capacity)

    def start(self, clients: NDArray[np.int64], seed: int) -> Window:
        return Window.empty(len(clients), self.capacity, self.source.classes)

    def predict(self, state: Window, chunk: Chunk) -> tuple[Tensor, Window]:
        p = torch.softmax(chunk.logits, dim=-1)
        visible = state.visible(p.shape[1])
        rows, after = state.join(p)
        prior, classes = window_means(rows, visible), self.source.classes
        rarest = (1.0 / visible.sum(dim=1, keepdim=True)).clamp_min(1.0 / classes)  # [T, 1]
        smooth = rarest / prior.max(dim=-1, keepdim=True).values
        return log_scores(p * (prior + smooth) / (1.0 + smooth * classes)), after

    def cost(self) -> Cost:
        """C products."""
        c = self.source.classes
        return Cost(macs_per_image=c, macs_module=c, state_bytes=4 * self.capacity * c)
