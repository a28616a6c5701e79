"""What the cloud knows of the backbone and tells every adapter: numbers of the source, where the backbone was trained."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Source:
    """What an adapter may know before a client's first image. The same for all clients; nothing in it is of a client.

    Args:
        features: D.
        classes: C.
        temperature: What the backbone's logits are to be divided by so that they are calibrated.
        prior: Share of each class where the backbone was trained, float64 [C], above 0.
        confusion: Joint distribution of predicted and true classes on held-out images, float64 [C, C]; see
            `iciia.cloud.calibration.confusion_matrix`.
        weight: The backbone's classifier, float32 [C, D]; None if it is unknown.
        bias: Its bias, float32 [C]; None if it is unknown or has none.
        prompt: The layer that prompts go through, float32 [C, E], trained in the cloud; None if nothing asks for it.
        superclass: Superclass of each class, int64 [C]; None if classes are not grouped.
        covariance: Pooled within-class covariance of the unit-length features, float32 [D, D]; None if nothing asks for it.
        persistence: How likely the next image is to be of the same class, by validation streams; None if nothing asks for it.
    """

    features: int
    classes: int
    temperature: float
    prior: NDArray[np.float64]
    confusion: NDArray[np.float64]
    weight: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    prompt: NDArray[np.float32] | None = None
    superclass: NDArray[np.int64] | None = None
    covariance: NDArray[np.float32] | None = None
    persistence: float | None = None

    @staticmethod
    def blank(features: int, classes: int) -> "Source":
        """A source with nothing particular about it: calibrated, uniform, never confused, and with some classifier. For tests of an
        adapter and for trying how long it takes."""
        rng = np.random.default_rng(0)
        return Source(
            features,
            classes,
            temperature=1.0,
            prior=np.full(classes, 1 / classes),
            confusion=np.eye(classes) / classes,
            weight=rng.standard_normal((classes, features), np.float32),
            bias=np.zeros(classes, np.float32),
            prompt=rng.standard_normal((classes, 4), np.float32),
            superclass=np.arange(classes) // 2,
            covariance=np.eye(features, dtype=np.float32) / np.float32(features),
            persistence=0.5,
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        """The backbone's calibrated probabilities, [..., C], of its logits."""
        return torch.softmax(logits / self.temperature, dim=-1)

    def classifier(self) -> tuple[Tensor, Tensor]:
        """The backbone's classifier, [C, D], and its bias, [C], zeros if it has none.

        Raises:
            ValueError: It is unknown.
        """
        if self.weight is None:
            raise ValueError("needs the weights of the backbone's classifier, and they are unknown")
        bias = np.zeros(self.classes, np.float32) if self.bias is None else self.bias
        return torch.from_numpy(np.array(self.weight)), torch.from_numpy(np.array(bias))


def source_prior(labels: NDArray[np.integer], classes: int) -> NDArray[np.float64]:
    """Share of each class, [C], in labels, [M], each class counted once more so that none has share 0."""
    count = np.bincount(labels, minlength=classes) + 1.0
    return count / count.sum()
