"""From a scenario's clients to their stream."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.scenario.clients import ClientsSettings, DirichletPrior, SizeRange, SubsetSettings, ZipfPrior
from sim.scenario.drifts import (
    DriftSettings,
    GradualDriftSettings,
    IncrementalDriftSettings,
    NoDriftSettings,
    OwnDriftSettings,
    PositionSettings,
    PriorDriftSettings,
    SuddenDriftSettings,
)
from sim.streams.drift import (
    At,
    Drift,
    Dwell,
    Every,
    GradualDrift,
    IncrementalDrift,
    MatrixDrift,
    NoDrift,
    Positions,
    PriorDrift,
    RecurringDrift,
    SuddenDrift,
    load_process,
)
from sim.streams.natural import NaturalStream
from sim.streams.stream import GroupedImages, Stream, Streams
from sim.streams.subset import ClassWeights, Dirichlet, SubsetSampler, Uniform, Zipf


def build_stream(
    clients: ClientsSettings,
    seed: int,
    superclass: NDArray[np.int64] | None,
    labels: NDArray[np.int64],
    num_classes: int,
    owners: NDArray[np.int64] | None = None,
    times: NDArray[np.float64] | None = None,
) -> Streams:
    """The streams that a scenario describes.

    Args:
        clients: The scenario's `clients`.
        seed: The seed of the streams.
        superclass: Superclass of each class, int64 [C]; None if subsets are not made of them.
        labels: Class of each image to draw from, int64 [M].
        num_classes: C.
        owners: Natural client of each image, int64 [M]; None if the data have none.
        times: When each image was taken, float64 [M]; None if the data do not say.

    Raises:
        ValueError: The drift process is the user's own and cannot be made, or there are too few natural clients, or no times.
    """
    most = None if clients.images == "all" else clients.images
    if clients.source == "natural":
        if owners is None:
            raise ValueError("the data have no natural clients")
        ranks = _ranks(clients.order.chosen(times is not None), len(owners), times)
        return NaturalStream(seed, clients.count, most, labels, num_classes, owners, ranks)
    if most is None:
        raise ValueError("drawn streams need a number of images")
    images = GroupedImages.of(labels, num_classes)
    groups = np.zeros(len(images.count), dtype=np.int64) if superclass is None else superclass
    return Stream(
        seed,
        most,
        build_drift(clients.drift, seed),
        SubsetSampler(seed, groups, subset_sizes(clients.subset)),
        ClassWeights(seed, _law(clients.subset), clients.subset.reserve_ratio, images.count / images.count.sum()),
        images,
        replacement=clients.sampling == "with_replacement",
        run_length=clients.order.run_length,
    )


def _ranks(
    by: Literal["time", "stored", "random"], count: int, times: NDArray[np.float64] | None
) -> NDArray[np.generic] | None:
    """The order in which natural clients' images come, [M]; None for a random one."""
    if by == "time" and times is None:
        raise ValueError("the data do not say when images were taken")
    return {"time": times, "stored": np.arange(count), "random": None}[by]


def subset_sizes(subset: SubsetSettings) -> tuple[int, int] | None:
    """Fewest and most classes of a subset; None if it is a superclass."""
    if subset.classes == "superclass":
        return None
    if isinstance(subset.classes, SizeRange):
        return subset.classes.min, subset.classes.max
    return subset.classes, subset.classes


def _law(subset: SubsetSettings) -> Uniform | Zipf | Dirichlet:
    if isinstance(subset.prior, ZipfPrior):
        return Zipf(subset.prior.exponent)
    if isinstance(subset.prior, DirichletPrior):
        return Dirichlet(subset.prior.alpha)
    return Uniform()


def build_drift(settings: DriftSettings, seed: int) -> Drift:
    """The drift process that settings describe.

    Raises:
        ValueError: It is the user's own and cannot be made.
    """
    if isinstance(settings, NoDriftSettings):
        return NoDrift()
    if isinstance(settings, OwnDriftSettings):
        return load_process(settings.process, seed, settings.arguments)
    if isinstance(settings, PriorDriftSettings):
        return PriorDrift(seed, settings.shape, settings.every or 1, settings.layout == "staggered")
    if isinstance(settings, SuddenDriftSettings):
        return SuddenDrift(_positions(settings, seed), settings.overlap)
    if isinstance(settings, GradualDriftSettings):
        return GradualDrift(_positions(settings, seed, settings.width), settings.width, settings.overlap)
    if isinstance(settings, IncrementalDriftSettings):
        return IncrementalDrift(seed, _positions(settings, seed, settings.width), settings.width, settings.overlap)
    if isinstance(settings.matrix, list):
        return MatrixDrift(tuple(map(tuple, settings.matrix)), settings.every or 1, settings.width)
    positions = _positions(settings, seed, settings.width)
    return RecurringDrift(seed, positions, settings.pool or 2, settings.order, settings.width)


def _positions(settings: PositionSettings, seed: int, width: int = 1) -> Positions:
    if settings.at is not None:
        return At(tuple(settings.at))
    every = settings.every or 1
    if settings.dwell != "fixed":
        # a window is over before the next one opens
        return Dwell(seed, every, settings.dwell, settings.layout == "together", shortest=max(width, 1))
    return Every(seed, every, staggered=settings.layout == "staggered")
