"""prototype: the nearest class mean, of means over the client's own images as the backbone predicts them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, checked_capacity
from iciia.adapters.source import Source
from iciia.adapters.window import Window
from iciia.overhead import Cost


class PrototypeAdapter(Adapter):
    """Cosine of the feature to the mean feature of each class that the backbone predicts among the last N images and the image
    itself. Classes that it predicts for none of them come after all others, in the backbone's order.

    Args:
        source: D and C.
        capacity: N.

    Raises:
        ValueError: The capacity is negative.
    """

    kind = "prototype"
    gives = "ranking"

    def __init__(self, source: Source, capacity: int = 64) -> None:
        self.source = source
        self.capacity: int = checked_capacity(capacity)

    def start(self, clients: NDArray[np.int64], seed: int) -> tuple[Window, Window]:
        features = Window.empty(len(clients), self.capacity, self.source.features)
        return features, Window.empty(len(clients), self.capacity, 1, torch.int32)

    def predict(self, state: tuple[Window, Window], chunk: Chunk) -> tuple[Tensor, Any]:
        targets = chunk.features.shape[1]
        visible = state[0].visible(targets)
        bank, features = state[0].join(chunk.features)  # [K, S, D]
        labels, predicted = state[1].join(chunk.logits.argmax(dim=-1, keepdim=True))
        products = bank @ bank.transpose(1, 2)  # [K, S, S]
        column = labels.long().transpose(1, 2)  # [K, 1, S]
        same = column == column.transpose(1, 2)
        # of the sum of each class: its product with the target, and with itself, collected image by image
        with_target = products[:, -targets:] * visible
        with_itself = (visible.float() @ (products * same)) * visible
        into = column.expand_as(with_target)
        product, square = (torch.zeros_like(chunk.logits).scatter_add_(2, into, x) for x in (with_target, with_itself))
        present = torch.zeros_like(chunk.logits).scatter_add_(2, into, visible.float().expand_as(with_target)) > 0
        length = chunk.features.square().sum(dim=-1, keepdim=True)
        cosine = product / (square * length).clamp_min(torch.finfo(torch.float32).tiny).sqrt()
        absent = torch.softmax(chunk.logits, dim=-1) - 3.0
        return torch.where(present, cosine, absent), (features, predicted)

    def cost(self) -> Cost:
        """Products of the target with the N + 1 images, and of at most as many class sums with themselves: 2 (N + 1) D."""
        macs = 2 * (self.capacity + 1) * self.source.features
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=4 * self.capacity * (self.source.features + 1))
