"""finetuned_head: the backbone's classifier, fine-tuned by each client on its own first images and their labels.

One of the paper's baselines (Yan et al., arXiv 2211.06276), for a stream. It needs labels and training on the device,
so it is shown apart.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.last_label import labels_of
from iciia.adapters.source import Source
from iciia.overhead import Cost

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

    @staticmethod
    def empty(clients: int, width: int) -> "Labelled":
        """No images."""
        return Labelled(torch.zeros(clients, 0, width), torch.zeros(clients, 0, dtype=torch.int32))

    def join(self, inputs: Tensor, past_labels: Tensor, most: int) -> "Labelled":
        """With the images of a chunk, as long as there are fewer than `most`."""
        inputs = torch.cat([self.inputs, inputs], dim=1)[:, :most]
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
        weight: Its own classifier, [K, C, D]; None before.
        bias: Its bias, [K, C].
    """

    seen: int
    first: Labelled | None
    weight: Tensor | None = None
    bias: Tensor | None = None


class FinetunedHeadAdapter(Adapter):
    """Predicts a client's first n images as the backbone does, trains the client's own classifier on them and their labels once,
    and predicts all later ones with it. SGD, in batches of 16 in the order in which images came.

    Args:
        source: The classifier to start from.
        images: n.
        epochs: Passes over them.
        learning_rate: Constant.

    Raises:
        ValueError: A number is out of range, or the classifier is unknown.
    """

    kind = "finetuned_head"
    sees = "past_labels"

    def __init__(self, source: Source, images: int = 64, epochs: int = 10, learning_rate: float = 0.01) -> None:
        check_training(images, epochs, learning_rate)
        self.source, self.images, self.epochs, self.learning_rate = source, images, epochs, learning_rate
        self.weight, self.bias = source.classifier()

    def start(self, clients: NDArray[np.int64], seed: int) -> Tuning:
        return Tuning(0, Labelled.empty(len(clients), self.source.features))

    def predict(self, state: Tuning, chunk: Chunk) -> tuple[Tensor, Tuning]:
        before = max(0, self.images - state.seen)  # steps of the chunk before training
        if state.first is not None:
            state = replace(state, first=state.first.join(chunk.features, labels_of(chunk), self.images))
        state = replace(state, seen=state.seen + chunk.features.shape[1])
        if state.first is not None and state.first.labels.shape[1] > self.images:
            state = self._train(state.seen, state.first)
        if state.weight is None or state.bias is None:
            return chunk.logits, state
        own = chunk.features[:, before:] @ state.weight.transpose(1, 2) + state.bias.unsqueeze(1)
        return torch.cat([chunk.logits[:, :before], own], dim=1), state

    def _train(self, seen: int, first: Labelled) -> Tuning:
        clients = len(first.inputs)
        weight, bias = self.weight.repeat(clients, 1, 1), self.bias.repeat(clients, 1)
        for z, labels in first.batches(self.epochs):
            error = loss_gradient(z @ weight.transpose(1, 2) + bias.unsqueeze(1), labels)
            weight -= self.learning_rate * error.transpose(1, 2) @ z
            bias -= self.learning_rate * error.sum(dim=1)
        return Tuning(seen, None, weight, bias)

    def cost(self) -> Cost:
        """Nothing for an image: its classifier takes the place of the backbone's. Once, 2 C D for each image and epoch. At first
        the images and their labels are kept, later the classifier; the larger of the two counts."""
        n, c, d = self.images, self.source.classes, self.source.features
        return Cost(
            state_bytes=4 * max(n * d + n, c * d + c),
            macs_training=2 * n * self.epochs * c * d,
        )


def check_training(images: int, epochs: int, learning_rate: float) -> None:
    """Checks how a client is to train.

    Raises:
        ValueError: A number is out of range.
    """
    if min(images, epochs) < 1 or not learning_rate > 0:
        raise ValueError(f"got images {images}, epochs {epochs} and learning_rate {learning_rate}; expected positive")


def loss_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the mean cross-entropy by the logits, [K, b, C], of labels [K, b]."""
    error = torch.softmax(logits, dim=-1)
    error.scatter_add_(2, labels.unsqueeze(2), torch.full((*error.shape[:2], 1), -1.0))
    return error / labels.shape[1]
