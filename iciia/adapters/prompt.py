"""prompt: an embedding of each client, through a linear layer, added to the backbone's logits.

One of the paper's baselines (Yan et al., arXiv 2211.06276), for a stream. The layer is trained in the cloud with embeddings of
simulated clients; a client of a stream was not among them and learns its own on its first images and their labels.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.finetuned_head import BATCH, Labelled, check_training, loss_gradient
from iciia.adapters.last_label import labels_of
from iciia.adapters.source import Source
from iciia.overhead import Cost

EMBEDDING = 32
"""Numbers in a client's embedding, E."""

CLOUD_STEPS, CLOUD_RATE = 300, 0.03


@dataclass(frozen=True)
class Prompt:
    """How far K clients are.

    Args:
        seen: Images that each has seen.
        first: The logits of its first images; None once it has trained.
        embedding: [K, E].
    """

    seen: int
    first: Labelled | None
    embedding: Tensor


class PromptAdapter(Adapter):
    """Predicts a client's first n images as the backbone does, learns an embedding e from them and their labels once, and adds
    layer @ e to the logits of all later ones. SGD from e = 0, in batches of 16 in the order in which images came.

    Args:
        source: The layer.
        images: n.
        epochs: Passes over them.
        learning_rate: Constant.

    Raises:
        ValueError: A number is out of range, or there is no layer.
    """

    kind = "prompt"
    sees = "past_labels"

    def __init__(self, source: Source, images: int = 64, epochs: int = 10, learning_rate: float = 0.1) -> None:
        check_training(images, epochs, learning_rate)
        if source.prompt is None:
            raise ValueError("needs the layer that prompts go through, and the cloud has trained none")
        self.source, self.images, self.epochs, self.learning_rate = source, images, epochs, learning_rate
        self.layer = torch.from_numpy(np.array(source.prompt))  # [C, E]

    def start(self, clients: NDArray[np.int64], seed: int) -> Prompt:
        count = len(clients)
        return Prompt(0, Labelled.empty(count, self.source.classes), torch.zeros(count, self.layer.shape[1]))

    def predict(self, state: Prompt, chunk: Chunk) -> tuple[Tensor, Prompt]:
        before = max(0, self.images - state.seen)  # steps of the chunk before training
        if state.first is not None:
            state = replace(state, first=state.first.join(chunk.logits, labels_of(chunk), self.images))
        if state.first is not None and state.first.labels.shape[1] > self.images:
            state = Prompt(state.seen, None, self._learn(state.first))
        added = (state.embedding @ self.layer.t()).unsqueeze(1)
        scores = torch.cat([chunk.logits[:, :before], chunk.logits[:, before:] + added], dim=1)
        return scores, replace(state, seen=state.seen + chunk.logits.shape[1])

    def _learn(self, first: Labelled) -> Tensor:
        embedding = torch.zeros(len(first.inputs), self.layer.shape[1])
        for logits, labels in first.batches(self.epochs):
            error = loss_gradient(logits + (embedding @ self.layer.t()).unsqueeze(1), labels)
            embedding -= self.learning_rate * error.sum(dim=1) @ self.layer
        return embedding

    def cost(self) -> Cost:
        """Nothing for an image: what is added stays the same. Once, 2 C E for each batch and epoch. At first the logits and labels
        are kept, later the embedding."""
        n, (c, e) = self.images, self.layer.shape
        batches = -(-n // BATCH) * self.epochs
        return Cost(
            state_bytes=4 * (n * c + n + e),
            parameters=c * e,
            macs_training=2 * batches * c * e,
        )


def train_prompt_layer(logits: Tensor, labels: Tensor, seed: int) -> NDArray[np.float32]:
    """The layer that prompts go through, [C, E], trained together with an embedding of each simulated client: Adam on the
    cross-entropy of all images of all clients, 300 steps.

    Args:
        logits: The backbone's, [B, n, C], of images of B simulated clients without drift.
        labels: [B, n].
        seed: Where embeddings start.
    """
    rng = torch.Generator().manual_seed(seed)
    embedding = torch.randn(len(logits), EMBEDDING, generator=rng).requires_grad_()
    layer = torch.zeros(logits.shape[2], EMBEDDING, requires_grad=True)
    optimizer = torch.optim.Adam([embedding, layer], lr=CLOUD_RATE)
    for _ in range(CLOUD_STEPS):
        scores = logits + (embedding @ layer.t()).unsqueeze(1)
        loss = F.cross_entropy(scores.flatten(0, 1), labels.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    found: NDArray[np.float32] = layer.detach().numpy()
    return found
