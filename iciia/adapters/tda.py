"""tda: logits raised by what resembles the surest images of each class, and lowered by what resembles unsure ones.

Source: Karmanov et al., arXiv 2403.18293, CVPR 2024. Theirs is for CLIP, whose logits, 100 cosines, are nearly calibrated: its
strengths are added to our logits at the calibrated temperature. Entropy is normalised by log C in nats. Of an unsure image we
keep which classes it speaks against, not how likely each was.
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

SURE, UNSURE = 3, 2
"""Images of each class."""

RANGE = (0.2, 0.5)
"""Normalised entropies of unsure images."""

AGAINST = 0.03
"""An unsure image speaks against the classes that it gives a higher probability."""

STRENGTH, SHARPNESS = (2.0, 0.117), (5.0, 1.0)
"""Of sure and of unsure images."""


@dataclass(frozen=True)
class Caches:
    """What K clients keep: sure images, and unsure ones with which classes they speak against, bool."""

    sure: Surest
    unsure: Surest


class TdaAdapter(Adapter):
    """l + 2 sum over sure images k of class c of exp(-5 (1 - z.k)) - .117 sum over unsure images k with p_k(c) > .03 of
    exp(-(1 - z.k)). Of each predicted class the 3 images of lowest entropy are sure, and the 2 of lowest normalised entropy
    within (.2, .5) unsure; z is of unit length, l and p calibrated. An image is remembered before it is predicted.

    Args:
        source: D, C and temperature.
    """

    kind = "tda"

    def __init__(self, source: Source) -> None:
        self.source = source

    def start(self, clients: NDArray[np.int64], seed: int) -> Caches:
        k, d = len(clients), self.source.features
        return Caches(Surest.empty(k, d), Surest.empty(k, d, self.source.classes, torch.bool))

    def predict(self, state: Caches, chunk: Chunk) -> tuple[Tensor, Caches]:
        z = F.normalize(chunk.features, dim=-1)
        p = self.source.probabilities(chunk.logits)
        entropy, label = entropy_of(p), p.argmax(dim=-1).to(torch.int32)
        share = entropy / np.log(self.source.classes)
        between = (share > RANGE[0]) & (share < RANGE[1])
        against = (p > AGAINST) & (p < 1)
        sure, kept = state.sure.join(Surest(z, z[..., :0], label, entropy), SURE)
        alike = _alike(z, sure, kept, SHARPNESS[0])
        raised = sums_of_classes(alike, sure.label, self.source.classes)
        unsure, doubted = state.unsure.join(Surest(z, against, label.masked_fill(~between, -1), entropy), UNSURE)
        lowered = _alike(z, unsure, doubted, SHARPNESS[1]) @ unsure.more.to(z.dtype)
        scores = chunk.logits / self.source.temperature + STRENGTH[0] * raised - STRENGTH[1] * lowered
        return scores, Caches(sure.only(kept[:, -1]), unsure.only(doubted[:, -1]))

    def cost(self) -> Cost:
        """At most, with images of all classes: 5 C D for the cosines, 2 C^2 for what unsure images speak against."""
        d, c = self.source.features, self.source.classes
        macs = (SURE + UNSURE) * c * d + UNSURE * c * c
        state_bytes = c * (SURE * (4 * d + 8) + UNSURE * (4 * d + c + 8))
        return Cost(macs_per_image=macs, macs_module=macs, state_bytes=state_bytes)


def _alike(z: Tensor, images: Surest, kept: Tensor, sharpness: float) -> Tensor:
    """exp(-sharpness (1 - z.k)) of each target and each image kept then, [K, T, n]; 0 for all others."""
    return torch.exp(sharpness * (z @ images.features.transpose(1, 2) - 1)) * kept
