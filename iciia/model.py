"""ICIIA: intra-client, inter-image attention between a frozen backbone and its prediction.

Source: Yan et al., arXiv 2211.06276. We differ in two ways, both of them named options so that others can stand beside them:
the stream context (each image attends to itself and to what its client's bank held when it arrived, keys and values computed
once) and the residual head (a correction of the backbone's logits that starts at zero).
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from iciia.bank import STEP_BYTES, FeatureBank
from iciia.encoder import EncoderLayer


class ICIIA(nn.Module):
    """Stream-context ICIIA with a residual head.

    Args:
        features: D, the backbone's feature dimension.
        classes: C.
        layers: L.
        heads: H; must divide D.
        partitions: P; must divide D. 1 is the paper's ICIIA-B, 256 its ICIIA-T.
        dropout: As in the paper, 0.1.

    Raises:
        ValueError: H or P does not divide D.

    Example:
        >>> module = ICIIA(features=8, classes=3, layers=1, heads=2, partitions=2).eval()
        >>> bank = module.empty_bank(clients=1, capacity=4)
        >>> logits, bank = module(torch.zeros(1, 5, 8), torch.ones(1, 5, 3), bank)
        >>> logits.shape, bank.seen
        (torch.Size([1, 5, 3]), 5)
    """

    def __init__(
        self,
        features: int,
        classes: int,
        layers: int = 2,
        heads: int = 4,
        partitions: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.settings: Mapping[str, Any] = {
            "context": "stream",
            "head": "residual",
            "features": features,
            "classes": classes,
            "layers": layers,
            "heads": heads,
            "partitions": partitions,
            "dropout": dropout,
        }
        self.layers = nn.ModuleList(EncoderLayer(features, heads, partitions, dropout) for _ in range(layers))
        self.classifier = nn.Linear(features, classes)
        # the residual head starts at the backbone's own prediction, not at noise
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def empty_bank(self, clients: int, capacity: int) -> FeatureBank:
        """Banks for K clients that have seen nothing; they hold each layer's key and value of an image."""
        device = self.classifier.weight.device
        return FeatureBank.empty(clients, capacity, 2 * len(self.layers), self.settings["features"], device)

    def forward(self, features: Tensor, backbone_logits: Tensor, bank: FeatureBank) -> tuple[Tensor, FeatureBank]:
        """Predicts a chunk of every client's stream.

        The result equals feeding the chunk one image at a time.

        Args:
            features: The backbone's features, [K, T, D].
            backbone_logits: The backbone's own logits, [K, T, C].
            bank: The clients' banks before the chunk.

        Returns:
            Logits [K, T, C] and the banks after the chunk.
        """
        visible = bank.visible(features.shape[1])
        x = features
        arrived = []
        for number, layer in enumerate(cast(list[EncoderLayer], self.layers)):
            q, k, v = layer.project(x)
            arrived += [k, v]
            keys = torch.cat([bank.entries[2 * number], k], dim=1)
            values = torch.cat([bank.entries[2 * number + 1], v], dim=1)
            x = layer(x, q, keys, values, visible)
        logits = backbone_logits + self.classifier(torch.relu(x))
        return logits, bank.remember(torch.stack(arrived))


def macs_module(features: int, layers: int, partitions: int, capacity: int) -> int:
    """Multiply-adds of one image at a full bank, without any classifier.

    Six D x D projections (q, k, v, output, two feed-forward) and attention over N bank images and the target, a layer:
    6 L D^2 / P + 2 L (N + 1) D. With D=1280, L=3, P=256, N=15: 238,080.
    """
    return 6 * layers * features**2 // partitions + 2 * layers * (capacity + 1) * features


def bank_bytes(features: int, layers: int, capacity: int) -> int:
    """Bytes of one client's full bank: a float32 key and value a layer, and the step of arrival.

    With D=512, L=2, N=16: 16 * (2 * 2 * 512 * 4 + 4) = 131,136.
    """
    return capacity * (2 * layers * features * 4 + STEP_BYTES)
