"""finetuned_head: the backbone's classifier, fine-tuned by each client on its own first images and their labels.

One of the paper's baselines (Yan et al., arXiv 2211.06276), for a stream. It needs labels and training on the device,
so it is shown apart.
"""

from torch import Tensor

from iciia.adapters.base import Chunk
from iciia.adapters.labelled import Labelled, LabelledAdapter, loss_gradient
from iciia.adapters.source import Source
from iciia.overhead import Cost


class FinetunedHeadAdapter(LabelledAdapter):
    """Trains each client's own classifier, weight [K, C, D] and bias [K, C], from the backbone's.

    Args:
        source: The classifier to start from.
        images: n.
        epochs: Passes over them.
        learning_rate: Constant.

    Raises:
        ValueError: A number is out of range, or the classifier is unknown.
    """

    kind = "finetuned_head"

    def __init__(self, source: Source, images: int = 64, epochs: int = 10, learning_rate: float = 0.01) -> None:
        super().__init__(source, images, epochs, learning_rate)
        self.weight, self.bias = source.classifier()

    def inputs(self, chunk: Chunk) -> Tensor:
        return chunk.features

    def learn(self, first: Labelled) -> tuple[Tensor, ...]:
        clients = len(first.inputs)
        weight, bias = self.weight.repeat(clients, 1, 1), self.bias.repeat(clients, 1)
        for z, labels in first.batches(self.epochs):
            error = loss_gradient(z @ weight.transpose(1, 2) + bias.unsqueeze(1), labels)
            weight -= self.learning_rate * error.transpose(1, 2) @ z
            bias -= self.learning_rate * error.sum(dim=1)
        return weight, bias

    def later(self, own: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
        weight, bias = own
        return inputs @ weight.transpose(1, 2) + bias.unsqueeze(1)

    def cost(self) -> Cost:
        """Nothing for an image: its classifier takes the place of the backbone's. Once, 2 C D for each image and epoch. At first
        the images and their labels are kept, later the classifier; the larger of the two counts."""
        n, c, d = self.images, self.source.classes, self.source.features
        return Cost(
            state_bytes=4 * max(n * d + n, c * d + c),
            macs_training=2 * n * self.epochs * c * d,
        )
