"""What labels mean: one class for each image, int [...], or attributes that are each there or not, 0 or 1, int [..., C].

Logits are [..., C] either way. Of attributes, those with a logit above 0 are predicted to be there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of classes, or mean binary cross-entropy of attributes, nats."""
    if labels.ndim == logits.ndim:
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten())


def losses_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each image, [...], nats; of an image with attributes their mean binary cross-entropy."""
    if labels.ndim == logits.ndim:
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none").mean(-1)
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)


def accuracy_of(logits: Tensor, labels: Tensor) -> float:
    """Share of right classes, or of right attributes."""
    right = (logits > 0) == (labels > 0.5) if labels.ndim == logits.ndim else logits.argmax(-1) == labels
    return right.to(torch.float32).mean().item()
