"""prompt: an embedding of each client, through a linear layer, added to the backbone's logits.

One of the paper's baselines (Yan et al., arXiv 2211.06276), for a stream. The layer is trained in the cloud with embeddings of
simulated clients; a client of a stream was not among them and learns its own on its first images and their labels.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Chunk
from iciia.adapters.labelled import BATCH, Labelled, LabelledAdapter, loss_gradient
from iciia.adapters.source import Source
from iciia.overhead import Cost

EMBEDDING = 32
"""Numbers in a client's embedding, E."""

CLOUD_STEPS, CLOUD_RATE = 300, 0.03


class PromptAdapter(LabelledAdapter):
    """Learns an embedding e of each client, [K, E], from 0, and adds layer @ e to the logits.

    Args:
        source: The layer.
        images: n.
        epochs: Passes over them.
        learning_rate: Constant.

    Raises:
        ValueError: A number is out of range, or there is no layer.
    """

    kind = "prompt"

    def __init__(self, source: Source, images: int = 64, epochs: int = 10, learning_rate: float = 0.1) -> None:
        super().__init__(source, images, epochs, learning_rate)
        if source.prompt is None:
            raise ValueError("needs the layer that prompts go through, and the cloud has trained none")
        self.layer = torch.from_numpy(np.array(source.prompt))  # [C, E]

    def inputs(self, chunk: Chunk) -> Tensor:
        return chunk.logits

    def learn(self, first: Labelled) -> tuple[Tensor, ...]:
        embedding = torch.zeros(len(first.inputs), self.layer.shape[1])
        for logits, labels in first.batches(self.epochs):
            error = loss_gradient(self.later((embedding,), logits), labels)
            embedding -= self.learning_rate * error.sum(dim=1) @ self.layer
        return (embedding,)

    def later(self, own: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
        (embedding,) = own
        return inputs + (embedding @ self.layer.t()).unsqueeze(1)

    def cost(self) -> Cost:
        """Nothing for an image: what is added stays the same. Once, 2 C E for each batch and epoch. At first the logits and labels
        are kept, later the embedding; the larger of the two counts."""
        n, (c, e) = self.images, self.layer.shape
        batches = -(-n // BATCH) * self.epochs
        return Cost(
            state_bytes=4 * max(n * c + n, e),
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
