"""What the paper's two baselines with labels share: a client trains once, on its own first images and their labels.

Source: Yan et al., arXiv 2211.06276, for a stream.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.last_label import labels_of
from iciia.adapters.source import Source

BATCH = 16
"""Images in a training step, as in the paper."""


@dataclass(frozen=True)
class Labelled:
    """The first images of K clients with their labels, until there are enough to train on.

    Args:
        inputs: What is trained on, [K, n, W].
        labels: Of the image before each step, int32 [K, n + 1]: a label is known one step after its image.
    """

    inputs: Tensor
    labels: Tensor

    def join(self, inputs: Tensor, past_labels: Tensor, most: int) -> "Labelled":
        """With the images of a chunk, as long as there are fewer than `most`."""
        inputs = torch.cat([self.inputs, inputs], dim=1) if self.inputs.numel() else inputs
        inputs = inputs[:, :most]
        labels = torch.cat([self.labels, past_labels.to(torch.int32)], dim=1)[:, : most + 1]
        return Labelled(inputs.clone(), labels.clone())

    def batches(self, epochs: int) -> list[tuple[Tensor, Tensor]]:
        """Inputs [K, b, W] and labels [K, b] of each training step, in the order in which they came."""
        labels = self.labels[:, 1:].long()
        return [*zip(self.inputs.split(BATCH, dim=1), labels.split(BATCH, dim=1), strict=True)] * epochs


@dataclass(frozen=True)
class Tuning:
    """How far K clients are.

    Args:
        seen: Images that each has seen.
        first: Its first images; None once it has trained.
        own: What each has learned, [K, ...] each; empty before.
    """

    seen: int
    first: Labelled | None
    own: tuple[Tensor, ...] = ()


class LabelledAdapter(Adapter):
    """Predicts a client's first n images as the backbone does, trains on them and their labels once, and predicts all later ones
    with what it has learned. SGD, in batches of 16 in the order in which images came.

    Args:
        source: What the cloud tells.
        images: n.
        epochs: Passes over them.
        learning_rate: Constant.

    Raises:
        ValueError: A number is out of range.
    """

    sees = "past_labels"

    def __init__(self, source: Source, images: int, epochs: int, learning_rate: float) -> None:
        if min(images, epochs) < 1 or not learning_rate > 0:
            raise ValueError(
                f"got images {images}, epochs {epochs} and learning_rate {learning_rate}; expected positive"
            )
        self.source, self.images, self.epochs, self.learning_rate = source, images, epochs, learning_rate

    @abstractmethod
    def inputs(self, chunk: Chunk) -> Tensor:
        """What is trained on, [K, T, W]."""

    @abstractmethod
    def learn(self, first: Labelled) -> tuple[Tensor, ...]:
        """What each client learns, [K, ...] each."""

    @abstractmethod
    def later(self, own: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
        """Scores of later images, [K, T, C]."""

    def start(self, clients: NDArray[np.int64], seed: int) -> Tuning:
        count = len(clients)
        return Tuning(0, Labelled(torch.zeros(count, 0, 0), torch.zeros(count, 0, dtype=torch.int32)))

    def predict(self, state: Tuning, chunk: Chunk) -> tuple[Tensor, Tuning]:
        before = max(0, self.images - state.seen)  # steps of the chunk before training
        inputs, first, own = self.inputs(chunk), state.first, state.own
        if first is not None:
            first = first.join(inputs, labels_of(chunk), self.images)
            if first.labels.shape[1] > self.images:
                own, first = self.learn(first), None
        after = Tuning(state.seen + inputs.shape[1], first, own)
        if not own:
            return chunk.logits, after
        return torch.cat([chunk.logits[:, :before], self.later(own, inputs[:, before:])], dim=1), after


def loss_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy by the logits, [K, b, C], of labels [K, b]."""
    error = torch.softmax(logits, dim=-1)
    error.scatter_add_(2, labels.unsqueeze(2), torch.full((*error.shape[:2], 1), -1.0))
    return error / labels.shape[1]
