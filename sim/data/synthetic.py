"""Synthetic features around class prototypes, for scale tests: as many images as wanted, none of them stored.

An image's feature is its class's prototype plus two rows of a fixed noise table, picked by the image's number. The
logits are those of the nearest-prototype classifier, which is linear, so they add up from the same parts: looking an image up
costs a few gathers and no matrix product.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from iciia.cloud.features import take
from iciia.counter import generator, philox, stream_key
from sim.data.base import Classes, Features

NOISE_ROWS = 4096


@dataclass(frozen=True)
class SyntheticStore:
    """A store that computes what it is asked for.

    Args:
        prototypes: float32 [C, D].
        noise: float32 [R, D].
        prototype_logits: Logits of a prototype, float32 [C, C].
        noise_logits: What a noise row adds to the logits, float32 [R, C].
        per_class: Images of each class; image i is of class i // per_class.
        key: Philox key of the noise rows' numbers.
    """

    prototypes: NDArray[np.float32]
    noise: NDArray[np.float32]
    prototype_logits: NDArray[np.float32]
    noise_logits: NDArray[np.float32]
    per_class: int
    key: tuple[int, int]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.prototypes)), self.per_class)

    @property
    def feature_dim(self) -> int:
        return self.prototypes.shape[1]

    @property
    def classes(self) -> int:
        return len(self.prototypes)

    def gather(self, images: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        words = philox((images & 0xFFFFFFFF, images >> 32, 0, 0), self.key)
        first, second = ((words[i] % np.uint64(len(self.noise))).astype(np.int64) for i in (0, 1))
        labels = images // self.per_class
        features = take(self.prototypes, labels).add_(take(self.noise, first)).add_(take(self.noise, second))
        logits = take(self.prototype_logits, labels).add_(take(self.noise_logits, first))
        return features, logits.add_(take(self.noise_logits, second))


def open_synthetic(
    classes: int, superclasses: int, features: int, images_per_class: int, noise: float, seed: int
) -> Features:
    """Features in clusters: superclass centres, class prototypes around them, images around those.

    Args:
        classes: C.
        superclasses: S; class c belongs to superclass c * S // C.
        features: D.
        images_per_class: Images of each class, for the cloud and for the clients each.
        noise: Standard deviation of an image around its prototype; prototypes have unit deviation around theirs.
        seed: Everything.
    """
    rng = generator(seed, "synthetic")
    superclass = np.arange(classes) * superclasses // classes
    centres = rng.standard_normal((superclasses, features))
    # classes differ along few directions, as real features do, so that noise can confuse them
    basis = rng.standard_normal((min(features, 16), features)) / np.sqrt(min(features, 16))
    prototypes = 0.5 * centres[superclass] + rng.standard_normal((classes, len(basis))) @ basis
    table = noise / np.sqrt(2) * rng.standard_normal((NOISE_ROWS, len(basis))) @ basis
    table += 0.1 * rng.standard_normal(table.shape)
    # nearest prototype: -|x - p|^2 / 2 s^2 = (x p - |p|^2 / 2) / s^2 + what no class differs in
    scale = 1.0 / max(noise, 1e-3) ** 2 / features
    weight, bias = prototypes * scale, -0.5 * scale * (prototypes**2).sum(axis=1)
    arrays = [prototypes, table, prototypes @ weight.T + bias, table @ weight.T]
    prototype_rows, noise_rows, prototype_logits, noise_logits = (a.astype(np.float32) for a in arrays)
    stores = [
        SyntheticStore(
            prototype_rows, noise_rows, prototype_logits, noise_logits, images_per_class,
            stream_key(seed, f"synthetic {part}"),
        )
        for part in ("train", "test")
    ]  # fmt: skip
    key = {
        "kind": "synthetic", "classes": classes, "superclasses": superclasses, "features": features,
        "images_per_class": images_per_class, "noise": noise, "seed": seed,
    }  # fmt: skip
    names = [f"class {c}" for c in range(classes)]
    groups = [f"superclass {s}" for s in range(superclasses)]
    classifier = weight.astype(np.float32), bias.astype(np.float32)
    return Features(
        key, Classes(names, superclass.astype(np.int64), groups), stores[0], stores[1], classifier=classifier
    )
