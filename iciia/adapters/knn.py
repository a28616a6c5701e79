"""kNN vote: ICIIA without its learned attention, on the same bank."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity, log_scores
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost


class KnnAdapter(Adapter):
    """Mean of the backbone's probabilities over the nearest images, by cosine of features, among the last N and the image itself.

    Args:
        source: D and C.
        capacity: N.
        neighbours: How many, the image itself counted, which always is the nearest.

    Raises:
        ValueError: A number is out of range.
    """

    kind = "knn"

    def __init__(self, source: Source, capacity: int = 64, neighbours: int = 10) -> None:
        self.source = source
        self.capacity: int = checked_capacity(capacity)
        self.neighbours = neighbours
        if isinstance(neighbours, bool) or not isinstance(neighbours, int) or neighbours < 1:
            raise ValueError(f"got {neighbours!r} neighbours; expected an integer of 1 or more")

    def start(self, clients: NDArray[np.int64], seed: int) -> tuple[Window, Window]:
        sizes = self.source.features, self.source.classes
        features, probabilities = (Window.empty(len(clients), self.capacity, size) for size in sizes)
        return features, probabilities

    def predict(self, state: tuple[Window, Window], chunk: Chunk) -> tuple[Tensor, Any]:
        visible = state[0].visible(chunk.features.shape[1])
        direction = F.normalize(chunk.features, dim=-1)
        bank, features = state[0].join(direction)
        p, probabilities = state[1].join(torch.softmax(chunk.logits, dim=-1))
        cosine = (direction @ bank.transpose(1, 2)).masked_fill(~visible, float("-inf"))  # [K, T, n + T]
        nearest = cosine.topk(min(self.neighbours, cosine.shape[2]), dim=-1)
        vote = nearest.values.isfinite().float()
        votes = torch.zeros_like(cosine).scatter(-1, nearest.indices, vote / vote.sum(dim=-1, keepdim=True))
        return log_scores(votes @ p), (features, probabilities)

    def cost(self) -> Cost:
        """(N + 1) D for the cosines, and C for each neighbour's probabilities."""
        n, d, c = self.capacity + 1, self.source.features, self.source.classes
        macs = n * d + min(self.neighbours, n) * c
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=4 * self.capacity * (d + c))
