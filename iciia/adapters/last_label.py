"""last_label: a blind control that repeats the previous true label. A gain that it shares is not recognition.

Source: Press et al., arXiv 2305.09275, who show how well it does on correlated streams.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.source import Source
from iciia.overhead import Cost


class LastLabelAdapter(Adapter):
    """The true class of the image before; class 0 for a client's first. Never looks at an image.

    Args:
        source: C.
    """

    kind = "last_label"
    sees = "past_labels"
    gives = "label"

    def __init__(self, source: Source) -> None:
        self.source = source

    def start(self, clients: NDArray[np.int64], seed: int) -> None:
        return None

    def predict(self, state: None, chunk: Chunk) -> tuple[Tensor, None]:
        scores = torch.zeros(*labels_of(chunk).shape, self.source.classes)
        return scores.scatter_(2, labels_of(chunk).clamp_min(0).unsqueeze(2), 1.0), None

    def cost(self) -> Cost:
        return Cost()


def labels_of(chunk: Chunk) -> Tensor:
    """The chunk's past labels, [K, T].

    Raises:
        ValueError: It has none.
    """
    if chunk.past_labels is None:
        raise ValueError("the adapter needs past labels, and the chunk has none")
    return chunk.past_labels
