"""Refits the residual head on images that the backbone was not trained on: a linear correction of its calibrated logits."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 200
BATCH = 512
LEARNING_RATE = 2.5e-3


def restrict(labels: Tensor, superclass: Tensor | None, classes: int, random: torch.Generator) -> Tensor:
    """Which classes each image is told apart from, bool [B, C]: what a client meets are not all classes.

    Half of the images are told apart from all classes. The others from those of their superclass or from a random subset, of each
    size from 1 to C equally likely on a logarithmic scale, as often; from subsets alone if classes are not grouped.

    Args:
        labels: [B].
        superclass: Superclass of each class, [C]; None if classes are not grouped.
        classes: C.
        random: Draws.
    """
    kind = torch.rand(len(labels), 1, generator=random)
    share = classes ** -torch.rand(len(labels), 1, generator=random)
    among = torch.rand(len(labels), classes, generator=random) < share
    if superclass is not None:
        among = torch.where(kind < 0.25, superclass[labels].unsqueeze(1) == superclass, among)
    among = among | (kind >= 0.5)
    return among.scatter(1, labels.unsqueeze(1), True)


def fit(
    features: Tensor, logits: Tensor, labels: Tensor, superclass: Tensor | None, penalty: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Weight [C, D] and bias [C] of the correction: cross-entropy (binary for attributes), a ridge penalty, Adam.

    Args:
        features: Of unit length times sqrt(D), [M, D].
        logits: Calibrated, [M, C].
        labels: [M], or attributes, [M, C].
        superclass: See `restrict`.
        penalty: Factor of half the squared weights.
        seed: Order of the images, and what each is told apart from.
    """
    random = torch.Generator().manual_seed(seed)
    count, classes = logits.shape
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=LEARNING_RATE)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        some = torch.randperm(count, generator=random)[:BATCH]
        corrected = logits[some] + F.linear(features[some], weight, bias)
        if labels.ndim == 2:
            loss = F.binary_cross_entropy_with_logits(corrected, labels[some].to(corrected.dtype))
        else:
            among = restrict(labels[some], superclass, classes, random)
            loss = F.cross_entropy(corrected.masked_fill(~among, float("-inf")), labels[some])
        loss = loss + penalty / 2 * weight.square().sum()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    return weight.detach(), bias.detach()
