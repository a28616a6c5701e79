"""The FEMNIST CNN: two convolutions and a wide linear layer over 28 x 28 characters, feature dimension 2048.

Source: Caldas et al., arXiv 1812.01097 (LEAF), the model of its FEMNIST task: convolutions keep the size, ReLU after each layer.
LEAF feeds pixels from 0 to 1 without further normalisation, and so do we.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class FemnistCNN(nn.Module):
    """conv 5x5 to 32, pool, conv 5x5 to 64, pool, linear to 2048, classifier: 17.2 M multiply-adds with 62 classes.

    Args:
        num_classes: C.
        in_chans: Channels of the images.
        pretrained_cfg_overlay: `mean` and `std`, one number a channel, of a checkpoint that was trained with others.
    """

    def __init__(
        self, num_classes: int = 62, in_chans: int = 1, pretrained_cfg_overlay: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.pretrained_cfg = {
            "input_size": (1, 28, 28),
            "interpolation": "bilinear",
            "mean": (0.0,),
            "std": (1.0,),
            **(pretrained_cfg_overlay or {}),
        }
        self.conv1 = nn.Conv2d(in_chans, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(64 * 7 * 7, 2048)
        self.fc2 = nn.Linear(2048, num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """[B, channels, 28, 28] -> [B, 64, 7, 7]."""
        x = self.pool(self.conv1(x).relu())
        pooled: Tensor = self.pool(self.conv2(x).relu())
        return pooled

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """[B, 64, 7, 7] -> features [B, 2048], or logits [B, C]."""
        features: Tensor = self.fc1(x.flatten(1)).relu()
        return features if pre_logits else self.get_classifier()(features)

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.fc2

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 28, 28] -> logits [B, C]."""
        return self.forward_head(self.forward_features(x))
