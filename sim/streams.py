"""From a scenario's clients to their stream."""

import numpy as np
from numpy.typing import NDArray

from sim.drift import Drift, NoDrift, SuddenDrift
from sim.scenario import ClientsSettings, DriftSettings, SuddenDriftSettings, ZipfPrior
from sim.stream import ImagesByClass, Stream
from sim.subset import ClassWeights, SubsetSampler


def build_stream(
    clients: ClientsSettings, seed: int, superclass: NDArray[np.int64] | None, images: ImagesByClass
) -> Stream:
    """The streams that a scenario describes.

    Args:
        clients: The scenario's `clients`.
        seed: The seed of the streams.
        superclass: Superclass of each class, int64 [C]; None if subsets are not made of them.
        images: The images to draw from.
    """
    subset = clients.subset
    num_classes = len(images.count)
    size = None if subset.classes == "superclass" else subset.classes
    groups = np.zeros(num_classes, dtype=np.int64) if superclass is None else superclass
    exponent = subset.prior.exponent if isinstance(subset.prior, ZipfPrior) else 0.0
    return Stream(
        seed,
        clients.images,
        _build_drift(clients.drift, seed),
        SubsetSampler(seed, groups, size),
        ClassWeights(seed, exponent, subset.reserve_ratio, images.count / images.count.sum()),
        images,
        replacement=clients.sampling == "with_replacement",
    )


def _build_drift(settings: DriftSettings, seed: int) -> Drift:
    if isinstance(settings, SuddenDriftSettings):
        return SuddenDrift(seed, settings.every, settings.overlap, settings.stagger)
    return NoDrift()
