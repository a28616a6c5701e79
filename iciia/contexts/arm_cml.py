"""ARM-CML: a classifier that is told, beside each image, the mean of what a context network says of the client's images so far.

Source: Zhang et al., "Adaptive risk minimization", arXiv 2007.02931. Theirs takes the mean over a batch, this one over the
client's images up to the target and it; the backbone is frozen, so the context network reads features, of unit length times
sqrt(D), and is one layer.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn


class ArmCml(nn.Module, PyTorchModelHubMixin, library_name="iciia"):
    """g([z; mean of phi(z_i)]) with phi(z) = relu(A z + a) and g linear.

    Args:
        features: D.
        classes: C.
        width: E, numbers that phi gives.
    """

    head: Literal["replaced"] = "replaced"
    knows: Literal["nothing", "superclasses"] = "nothing"

    def __init__(self, features: int, classes: int, width: int = 128) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {"features": features, "classes": classes, "width": width}
        self.context = nn.Linear(features, width)
        self.classifier = nn.Linear(features + width, classes)

    def forward(self, features: Tensor, mean: Tensor, seen: int) -> tuple[Tensor, Tensor]:
        """Logits of the next images, [K, T, C], float32, and the mean of phi after them, [K, E].

        Args:
            features: [K, T, D].
            mean: Of phi over the images before, [K, E], float32.
            seen: How many these are.
        """
        z = (F.normalize(features, dim=-1) * features.shape[-1] ** 0.5).to(self.classifier.weight.dtype)
        told = torch.relu(self.context(z)).float()
        count = seen + torch.arange(1, z.shape[1] + 1, device=z.device).unsqueeze(1)
        means = (mean.unsqueeze(1) * seen + told.cumsum(dim=1)) / count
        logits = self.classifier(torch.cat([z, means.to(z.dtype)], dim=-1)).float()
        return logits, means[:, -1]

    def forward_sequences(self, features: Tensor, backbone_logits: Tensor) -> Tensor:
        """Logits of every image of whole sequences, [B, T, C], float32: one pass trains T targets."""
        return self(features, features.new_zeros(len(features), self.settings["width"]), 0)[0]
