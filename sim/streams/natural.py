"""Natural clients: those of the data themselves, each with its own images, and so with a stream of its own length."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from iciia.counter import generator, uniforms
from sim.streams.drift import Plan
from sim.streams.drift.base import starts_of
from sim.streams.stream import GroupedImages, StreamChunk, class_counts


class NaturalStream:
    """The streams of natural clients: every image once, in a random order or in a given one.

    Client c of a scenario is the natural client `owner(c)`: all of them in order, or a random choice in order if the scenario has
    fewer. The order of a natural client's images depends on nothing but the seed and its number.

    Args:
        seed: The scenario's seed.
        count: Clients in the scenario.
        most: Images in a stream at most; None takes all.
        labels: Class of each image, int64 [M], or its attributes, [M, C].
        num_classes: C.
        owners: Natural client of each image, int64 [M].
        ranks: A client's images come in the order of these numbers, [M], when they were taken for instance, and as they are stored
            where these are equal; None for a random order.

    Raises:
        ValueError: There are fewer natural clients than `count`; the message says how many.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        most: int | None,
        labels: NDArray[np.int64],
        num_classes: int,
        owners: NDArray[np.int64],
        ranks: NDArray[np.generic] | None = None,
    ) -> None:
        self.seed = seed
        self.most = most
        self.labels = labels
        self.num_classes = num_classes
        self.images = GroupedImages.of(owners, int(owners.max()) + 1, ranks)
        self.shuffled = ranks is None
        natural = np.flatnonzero(self.images.count)
        if len(natural) < count:
            raise ValueError(f"got {count}, and the data have {len(natural)} natural clients")
        self.chosen = np.sort(generator(seed, "natural clients").permutation(natural)[:count])

    @property
    def everybody(self) -> NDArray[np.float64]:
        """Share of each class in all images, [C]."""
        counts = class_counts(self.labels, self.num_classes)
        return counts / counts.sum()

    def owner(self, clients: NDArray[np.integer]) -> NDArray[np.int64]:
        """Natural client that each of the given clients is, [K]; numbers beyond the last, which pad a cohort, start again."""
        return self.chosen[clients % len(self.chosen)]

    def lengths(self, clients: NDArray[np.integer]) -> NDArray[np.int64]:
        """Images in the stream of each of the given clients, [K]."""
        count = self.images.count[self.owner(clients)]
        return count if self.most is None else np.minimum(count, self.most)

    def plan(self, clients: NDArray[np.integer]) -> Plan:
        """The class shares of the images that each of the given clients, [K], meets; they do not drift. Of attributes the share
        of images that have each."""
        lengths = self.lengths(clients)
        images = self._order(clients)
        priors = np.zeros((len(clients), 1, self.num_classes))
        for row, length in enumerate(lengths):
            priors[row, 0] = class_counts(self.labels[images[row, :length]], self.num_classes) / length
        starts = starts_of(np.zeros((len(clients), 0), dtype=np.int64))
        return Plan.of_segments(starts, priors, severity=np.zeros((len(clients), 1)))

    def chunks(self, clients: NDArray[np.integer], length: int, plan: Plan | None = None) -> Iterator[StreamChunk]:
        """The streams of the given clients, chunk by chunk.

        Args:
            clients: Client numbers, [K].
            length: Steps in a chunk. Every chunk is a whole one: a float product's last bits depend on its shape, which must not
                depend on how long the other streams are.
            plan: Not needed.

        Yields:
            Chunks in stream order; where a stream is over, its client's images start again and do not count.
        """
        order, lengths = self._order(clients), self.lengths(clients)
        steps = -(-order.shape[1] // length) * length
        for start in range(0, steps, length):
            place = (start + np.arange(length)) % lengths[:, None]
            images = np.take_along_axis(order, place, axis=1)
            yield StreamChunk(start, images, self.labels[images], np.zeros(images.shape, dtype=np.int64))

    def _order(self, clients: NDArray[np.integer]) -> NDArray[np.int64]:
        """Images of each client in order, int64 [K, T]; beyond a stream's end they mean nothing."""
        owner = self.owner(clients)
        count = self.images.count[owner]
        place = np.broadcast_to(np.arange(count.max()), (len(owner), count.max()))
        if self.shuffled:
            keys = uniforms(self.seed, "natural order", owner[:, None], place)
            place = np.argsort(np.where(place < count[:, None], keys, 1.0 + place), axis=1, kind="stable")
        place = np.minimum(place, count[:, None] - 1)[:, : self.lengths(clients).max()]
        return self.images.order[self.images.first[owner][:, None] + place]


def natural_sequences(
    owners: NDArray[np.int64], length: int, every: int | None, times: NDArray[np.float64] | None = None
) -> Callable[[np.random.Generator, int], NDArray[np.int64]]:
    """Training sequences of natural clients.

    Args:
        owners: Natural client of each image, int64 [M].
        length: Images in a sequence.
        every: Images between two drifts, at which another client takes over, the first anywhere in 1 to this; None for
            sequences of one client. A client that runs out of images is followed by another all the same, as long as there is
            another.
        times: When each image was taken, float64 [M]: a client's images in a sequence are then some that follow each other, as in
            its stream; None draws any of its images in any order.

    Returns:
        (rng, count) -> image places, int64 [count, length]. Clients are drawn by their number of images.
    """
    images = GroupedImages.of(owners, int(owners.max()) + 1, times)
    several = bool((owners != owners[0]).any())

    def another(rng: np.random.Generator, before: int) -> int:
        while True:
            owner = int(owners[rng.integers(len(owners))])
            if owner != before or not several:
                return owner

    def some(rng: np.random.Generator, owner: int, most: int) -> NDArray[np.int64]:
        first, count = images.first[owner], images.count[owner]
        everything = images.order[first : first + count]
        if times is None:
            return rng.permutation(everything)[:most]
        start = int(rng.integers(max(count - most, 0) + 1))
        return everything[start : start + most]

    def sequence(rng: np.random.Generator) -> NDArray[np.int64]:
        parts: list[NDArray[np.int64]] = []
        owner = -1
        left, until = length, length if every is None else int(rng.integers(1, every + 1))
        while left:
            owner = another(rng, owner)
            parts.append(some(rng, owner, min(until, left)))
            left -= len(parts[-1])
            until = every or left
        return np.concatenate(parts)

    return lambda rng, count: np.stack([sequence(rng) for _ in range(count)])
