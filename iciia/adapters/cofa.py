"""cofa: the backbone, asked about the mean of this image and the one before where that makes it surer.

Source: Du et al., arXiv 2407.20080 (UniTTA), correlated feature adaptation. The classifier is linear in the feature, so the
logits of the mean feature are the mean of the logits; we keep those, C numbers instead of D, and need no classifier.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost


class CofaAdapter(Adapter):
    """softmax(W zbar) with zbar = (z_t + z_{t-1}) / 2 if its maximum exceeds that of p, else p; both calibrated.

    Args:
        source: Temperature.
    """

    kind = "cofa"

    def __init__(self, source: Source) -> None:
        self.source = source

    def start(self, clients: NDArray[np.int64], seed: int) -> Window:
        return Window.empty(len(clients), 1, self.source.classes)

    def predict(self, state: Window, chunk: Chunk) -> tuple[Tensor, Window]:
        rows, after = state.join(chunk.logits / self.source.temperature)
        if not state.rows.shape[1]:  # a stream's first image is its own predecessor
            rows = torch.cat([rows[:, :1], rows], dim=1)
        own = torch.log_softmax(rows[:, 1:], dim=-1)
        both = torch.log_softmax((rows[:, 1:] + rows[:, :-1]) / 2, dim=-1)
        surer = both.amax(dim=-1, keepdim=True) > own.amax(dim=-1, keepdim=True)
        return torch.where(surer, both, own), after

    def cost(self) -> Cost:
        """C for the mean. C numbers are kept."""
        c = self.source.classes
        return Cost(macs_per_image=c, macs_module=c, state_bytes=4 * c)
