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

    def tell(self, features: Tensor) -> Tensor:
        """phi of images, float32 [K, T, E], of features [K, T, D]."""
        return torch.relu(self.context(self._scaled(features))).float()

    def forward(self, features: Tensor, means: Tensor) -> Tensor:
        """Logits [K, T, C], float32, of features, [K, T, D], and the mean of phi that each is told, [K, T, E]."""
        z = self._scaled(features)
        logits: Tensor = self.classifier(torch.cat([z, means.to(z.dtype)], dim=-1))
        return logits.float()

    def _scaled(self, features: Tensor) -> Tensor:
        return (F.normalize(features, dim=-1) * features.shape[-1] ** 0.5).to(self.classifier.weight.dtype)

    def forward_sequences(self, features: Tensor, backbone_logits: Tensor) -> Tensor:
        """Logits of every image of whole sequences, [B, T, C], float32: one pass trains T targets."""
        told = self.tell(features)
        seen = torch.arange(1, told.shape[1] + 1, device=told.device).unsqueeze(1)
        return self(features, told.cumsum(dim=1) / seen)
