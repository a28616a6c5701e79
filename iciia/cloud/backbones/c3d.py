"""C3D: 3-dimensional convolutions over clips of 16 frames, feature dimension 4096.

Source: Tran et al., arXiv 1412.0767. Layers bear their usual names (conv1 to conv5b, fc6 to fc8), so that common checkpoints fit.
As in these the last pool pads height and width by one, so that fc6 reads 512 x 1 x 4 x 4 numbers. The paper subtracts a mean clip;
here channels are normalised by the statistics of Kinetics-400 that torchvision's video models use.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

FRAMES, SIZE = 16, 112


class C3D(nn.Module):
    """Eight 3x3x3 convolutions, five max pools, two linear layers of 4096, classifier: 38.5 G multiply-adds.

    Args:
        num_classes: C.
        in_chans: Channels of the frames.
        drop_rate: Dropout after fc6 and fc7 while training.
        pretrained_cfg_overlay: `mean` and `std`, one number a channel, of a checkpoint that was trained with others.
    """

    def __init__(
        self,
        num_classes: int = 101,
        in_chans: int = 3,
        drop_rate: float = 0.5,
        pretrained_cfg_overlay: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.pretrained_cfg = {
            "input_size": (3, FRAMES, SIZE, SIZE),
            "interpolation": "bilinear",
            "mean": (0.43216, 0.394666, 0.37645),
            "std": (0.22803, 0.22145, 0.216989),
            **(pretrained_cfg_overlay or {}),
        }
        self.conv1 = _convolution(in_chans, 64)
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.conv2 = _convolution(64, 128)
        self.pool2 = nn.MaxPool3d(2)
        self.conv3a = _convolution(128, 256)
        self.conv3b = _convolution(256, 256)
        self.pool3 = nn.MaxPool3d(2)
        self.conv4a = _convolution(256, 512)
        self.conv4b = _convolution(512, 512)
        self.pool4 = nn.MaxPool3d(2)
        self.conv5a = _convolution(512, 512)
        self.conv5b = _convolution(512, 512)
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1))
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.dropout = nn.Dropout(drop_rate)

    def forward_features(self, x: Tensor) -> Tensor:
        """[B, channels, 16, 112, 112] -> [B, 512, 1, 4, 4]."""
        x = self.pool1(self.conv1(x).relu_())
        x = self.pool2(self.conv2(x).relu_())
        x = self.pool3(self.conv3b(self.conv3a(x).relu_()).relu_())
        x = self.pool4(self.conv4b(self.conv4a(x).relu_()).relu_())
        pooled: Tensor = self.pool5(self.conv5b(self.conv5a(x).relu_()).relu_())
        return pooled

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """[B, 512, 1, 4, 4] -> features [B, 4096], or logits [B, C]."""
        x = self.dropout(self.fc6(x.flatten(1)).relu())
        features: Tensor = self.dropout(self.fc7(x).relu())
        return features if pre_logits else self.get_classifier()(features)

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.fc8

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, 16, 112, 112] -> logits [B, C]."""
        return self.forward_head(self.forward_features(x))


def _convolution(inputs: int, outputs: int) -> nn.Conv3d:
    """3x3x3, started for the ReLU that follows: without normalisation eight layers would lose the signal otherwise."""
    convolution = nn.Conv3d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return convolution
