"""The residual head: a correction of the backbone's logits that starts at zero, ours."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def correct(
    classifier: nn.Linear, y: Tensor, backbone_logits: Tensor, alone: Tensor, shortlist: int | None = None
) -> Tensor:
    """Adds a correction to the backbone's logits.

    Args:
        classifier: What the correction is computed by, D -> C.
        y: What the context made of the images, [K * T, D].
        backbone_logits: [K, T, C].
        alone: Images that have nothing to be calibrated by and keep the backbone's logits, bool [1 or K, T].
        shortlist: Correct only so many classes, those that the backbone ranks highest; None for all.

    Returns:
        Logits [K, T, C], float32.
    """
    return backbone_logits + _correction(classifier, y, backbone_logits, shortlist).masked_fill(
        alone.unsqueeze(-1), 0.0
    )


def _correction(classifier: nn.Linear, y: Tensor, backbone_logits: Tensor, shortlist: int | None) -> Tensor:
    if shortlist is None:
        return classifier(y).float().view(backbone_logits.shape)
    listed = backbone_logits.topk(shortlist, dim=-1).indices
    if len(y) == 1:  # one image: only the listed rows are computed
        rows = listed.flatten()
        corrected = F.linear(y, classifier.weight[rows], classifier.bias[rows]).float().view(listed.shape)
    else:  # many: one product over all classes is faster than gathering rows for each
        corrected = classifier(y).float().view(backbone_logits.shape).gather(-1, listed)
    return torch.zeros_like(backbone_logits).scatter(-1, listed, corrected)
