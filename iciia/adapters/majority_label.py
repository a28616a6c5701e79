"""majority_label: a blind control that names the most frequent of the latest true labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity
from iciia.adapters.last_label import labels_of
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost


class MajorityLabelAdapter(Adapter):
    """The most frequent of the last N true labels, of equally frequent ones the latest; class 0 for a client's first image. Never
    looks at an image.

    Args:
        source: C.
        capacity: N.

    Raises:
        ValueError: The capacity is not positive.
    """

    kind = "majority_label"
    sees = "past_labels"
    gives = "label"

    def __init__(self, source: Source, capacity: int = 64) -> None:
        self.source = source
        self.capacity: int = checked_capacity(capacity, 1)

    def start(self, clients: NDArray[np.int64], seed: int) -> Window:
        # a chunk brings the label of the image before it, so one less is remembered
        return Window.empty(len(clients), self.capacity - 1, 1, torch.int32)

    def predict(self, state: Window, chunk: Chunk) -> tuple[Tensor, Window]:
        clients, targets, classes = chunk.logits.shape
        visible = state.visible(targets)
        rows, after = state.join(labels_of(chunk).unsqueeze(2))
        into = rows.long().transpose(1, 2).expand(clients, targets, -1)
        met = (visible & (into >= 0)).float()
        age = rows.shape[1] - targets + torch.arange(targets).unsqueeze(1) - torch.arange(rows.shape[1])
        recency = (self.capacity - age) / (self.capacity + 1)  # below 1, the older the less
        into = into.clamp_min(0)
        count = torch.zeros(clients, targets, classes).scatter_add_(2, into, met)
        latest = torch.zeros(clients, targets, classes).scatter_reduce_(2, into, met * recency, "amax")
        return count + latest, after

    def cost(self) -> Cost:
        return Cost(state_bytes=4 * (self.capacity - 1))
