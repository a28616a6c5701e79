"""adapt: Gaussians around class means that move with the surest images of each class, and one shared covariance.

Source: Zhang et al., arXiv 2508.15568, NeurIPS 2025 (ADAPT, online); one of a family with arXiv 2409.19375 and 2507.06973. Ours
differs:

- The covariance is the pooled one of the source, from the cloud; theirs is estimated anew for each image, for D^3
  multiply-adds. Its shrinkage is theirs at a full bank, n = 16 C.
- An image counts once in its class's mean; theirs counts the latest twice.
- Theirs multiplies CLIP's logits by exp(bracket / s), s from 10 to 100 by data set. With logits of about 25 that is to first
  order adding 25 / s of the bracket; we add half of it to the calibrated logits, which is s = 50 on any data.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.source import Source
from iciia.adapters.surest import Surest, entropy_of, sums_of_classes
from iciia.overhead import Cost

IMAGES = 16
"""Images of each class."""

SHARE = 0.9
"""Of the images in a class's mean; the rest is the classifier's row."""

STRENGTH, SCALE = 0.5, 50.0
"""Of the bracket, and of likeness inside it."""


@dataclass(frozen=True)
class Gaussians:
    """What K clients keep.

    Args:
        images: With p_k of the class that each is kept for.
        lengths: mu_c L mu_c, [K, C].
    """

    images: Surest
    lengths: Tensor


class AdaptAdapter(Adapter):
    """l + (log softmax(g) + 50 / (2 M) sum over kept images k of class c of p_k(c) z.k) / 2, with

        g_c = mu_c L z - mu_c L mu_c / 2

    Of each predicted class the 16 images of lowest entropy are kept, M in all. mu_c is .9 of their mean, weighted by p_k(c),
    and .1 of the classifier's row, all of unit length; the row alone without images. L = D ((n - 1) Sigma + tr(Sigma) I)^-1
    with n = 16 C. l and p are calibrated. An image is remembered before it is predicted.

    Args:
        source: Temperature, classifier and covariance.

    Raises:
        ValueError: The classifier or the covariance is unknown.
    """

    kind = "adapt"

    def __init__(self, source: Source) -> None:
        if source.covariance is None:
            raise ValueError("needs the covariance of the source's features, and the cloud has measured none")
        self.source = source
        weight, _ = source.classifier()
        self.rows = F.normalize(weight, dim=1)
        self.precision = _precision(source.covariance, IMAGES * source.classes)

    def start(self, clients: NDArray[np.int64], seed: int) -> Gaussians:
        lengths = self._lengths(self.rows).repeat(len(clients), 1)
        return Gaussians(Surest.empty(len(clients), self.source.features, 1), lengths)

    def predict(self, state: Gaussians, chunk: Chunk) -> tuple[Tensor, Gaussians]:
        z = F.normalize(chunk.features, dim=-1)
        p = self.source.probabilities(chunk.logits)
        surety, label = p.max(dim=-1, keepdim=True)
        arriving = Surest(z, surety, label.squeeze(2).to(torch.int32), entropy_of(p))
        images, kept = state.images.join(arriving, IMAGES)
        weight = images.more.transpose(1, 2) * kept  # p_k(c) of each image that is kept then, [K, T, n]
        lengths = self._lengths_then(state.lengths, images, weight, arriving.label)
        likelihood = self._products(z @ self.precision, images, weight) - lengths / 2
        alike = self._summed(weight * (z @ images.features.transpose(1, 2)), images)
        bracket = torch.log_softmax(likelihood, dim=-1) + SCALE / (2 * kept.sum(dim=2, keepdim=True)) * alike
        after = Gaussians(images.only(kept[:, -1]), lengths[:, -1].clone())
        return chunk.logits / self.source.temperature + STRENGTH * bracket, after

    def _products(self, y: Tensor, images: Surest, weight: Tensor) -> Tensor:
        """mu_c.y of each target's y, [K, T, D], and each class's mean then, [K, T, C]."""
        with_rows = y @ self.rows.t()
        total = self._summed(weight, images)
        with_images = self._summed(weight * (y @ images.features.transpose(1, 2)), images) / total
        return torch.where(total > 0, SHARE * with_images + (1 - SHARE) * with_rows, with_rows)

    def _lengths_then(self, before: Tensor, images: Surest, weight: Tensor, arrived: Tensor) -> Tensor:
        """mu_c L mu_c after each arrival, [K, T, C]: an arrival changes its own class's."""
        lengths = before.unsqueeze(1).repeat(1, arrived.shape[1], 1)
        for t in range(arrived.shape[1]):
            of_class = arrived[:, t : t + 1]
            member = weight[:, t] * (images.label == of_class)
            mean = torch.bmm(member.unsqueeze(1), images.features).squeeze(1) / member.sum(dim=1, keepdim=True)
            mean = SHARE * mean + (1 - SHARE) * self.rows[of_class.long().squeeze(1)]
            changed = self._lengths(mean).view(-1, 1, 1).expand(-1, arrived.shape[1] - t, 1)
            lengths[:, t:].scatter_(2, of_class.long().unsqueeze(1).expand_as(changed), changed)
        return lengths

    def _lengths(self, mean: Tensor) -> Tensor:
        """mu L mu, [...], of means, [..., D]."""
        return ((mean @ self.precision) * mean).sum(dim=-1)

    def _summed(self, values: Tensor, images: Surest) -> Tensor:
        return sums_of_classes(values, images.label, self.source.classes)

    def cost(self) -> Cost:
        """D^2 for L z and for the class mean that changes, C D for the rows; at most, with 16 images of all classes, 32 C D for
        the products of z and of L z with them, and 16 D for the mean."""
        d, c = self.source.features, self.source.classes
        inside = 2 * d * d + 2 * IMAGES * c * d + IMAGES * d
        state_bytes = IMAGES * c * (4 * d + 12) + 4 * c
        return Cost(
            macs_per_image=inside + c * d, macs_module=inside, state_bytes=state_bytes, parameters=c * d + d * d
        )


def _precision(covariance: NDArray[np.float32], images: int) -> Tensor:
    """L, float32 [D, D]."""
    sigma = covariance.astype(np.float64)
    shrunk = (images - 1) * sigma + np.trace(sigma) * np.eye(len(sigma))
    return torch.from_numpy(len(sigma) * np.linalg.inv(shrunk)).float()
