"""A client's stream: which image it sees at each step.

Scenario -> Plan (class priors) -> labels -> images. Everything is a pure function of (seed, client, purpose), drawn for a
cohort at once and a chunk at a time; a list of all images never exists.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from iciia.counter import uniforms
from sim.streams.drift import Drift, Plan
from sim.streams.subset import ClassWeights, SubsetSampler


@dataclass(frozen=True)
class GroupedImages:
    """Where the images of each group, a class or a natural client, are in a store.

    Args:
        order: Image numbers sorted by group, int64 [M].
        first: Place in `order` of each group's first image, int64 [G].
        count: Images of each group, int64 [G].
    """

    order: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]

    @staticmethod
    def of(groups: NDArray[np.integer], num_groups: int, ranks: NDArray[np.generic] | None = None) -> "GroupedImages":
        """Groups images by the group of each, int [M], in the order of their ranks, [M], and as they are where these are equal."""
        count = np.bincount(groups, minlength=num_groups).astype(np.int64)
        first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
        order = np.argsort(groups, kind="stable") if ranks is None else np.lexsort((ranks, groups))
        return GroupedImages(order.astype(np.int64), first, count)


def class_counts(labels: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """Images of each class, or with each attribute, int64 [C].

    Args:
        labels: [M], or attributes, [M, C].
        num_classes: C.
    """
    return labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=num_classes)


@dataclass(frozen=True)
class StreamChunk:
    """A piece of the streams of K clients.

    Args:
        step: Stream position of the first column.
        images: Image numbers in the store, int64 [K, T].
        labels: Their classes, int64 [K, T], or attributes, [K, T, C].
        segments: Number of the plan's segment at each step, int64 [K, T].
    """

    step: int
    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    segments: NDArray[np.int64]


class Streams(Protocol):
    """The streams of all clients of a scenario. What a client sees depends on no other client."""

    @property
    def everybody(self) -> NDArray[np.float64]:
        """Share of each class in all images, [C]."""
        ...

    def lengths(self, clients: NDArray[np.integer]) -> NDArray[np.int64]:
        """Images in the stream of each of the given clients, [K]."""
        ...

    def owner(self, clients: NDArray[np.integer]) -> NDArray[np.int64] | None:
        """Natural client that each of the given clients is, [K]; None if streams are drawn."""
        ...

    def plan(self, clients: NDArray[np.integer]) -> Plan:
        """The class priors of the given clients, [K], over their whole streams."""
        ...

    def chunks(self, clients: NDArray[np.integer], length: int, plan: Plan | None = None) -> Iterator[StreamChunk]:
        """The streams of the given clients, [K], in pieces of `length` steps, until the longest is over. Where a stream is over
        before, its client's images are repeated and do not count."""
        ...


class Stream:
    """Streams of drawn class subsets, all of one length.

    Args:
        seed: The scenario's seed.
        steps: Images per client.
        drift: The drift process.
        subsets: Draws class subsets.
        weights: Class weights inside a subset.
        images: The images to draw from, by class; every class has at least one.
        replacement: Whether a client may meet an image twice. Without it, a client that runs out of a class meets
            its images again, in a new order; `most_of_a_class` tells beforehand.
        run_length: Images in a run on average, 1 or more. The images of a run share the number between 0 and 1 that
            becomes a class by the prior of each step: as long as the prior stays, they are of one class, and every single
            image has exactly the prior of its step, also where it moves. 1 draws every image by itself.
    """

    def __init__(
        self,
        seed: int,
        steps: int,
        drift: Drift,
        subsets: SubsetSampler,
        weights: ClassWeights,
        images: GroupedImages,
        replacement: bool = False,
        run_length: float = 1.0,
    ) -> None:
        self.seed = seed
        self.steps = steps
        self.drift = drift
        self.subsets = subsets
        self.weights = weights
        self.images = images
        self.replacement = replacement
        self.run_length = run_length

    @property
    def everybody(self) -> NDArray[np.float64]:
        """Share of each class in all images, [C]."""
        return self.images.count / self.images.count.sum()

    def lengths(self, clients: NDArray[np.integer]) -> NDArray[np.int64]:
        """Images in the stream of each of the given clients, [K]."""
        return np.full(len(clients), self.steps)

    def owner(self, clients: NDArray[np.integer]) -> None:
        """None: streams are drawn."""
        return None

    def plan(self, clients: NDArray[np.integer]) -> Plan:
        """The class priors of the given clients, [K], over their whole streams."""
        return self.drift.plan(clients, self.steps, self.subsets, self.weights)

    def chunks(self, clients: NDArray[np.integer], length: int, plan: Plan | None = None) -> Iterator[StreamChunk]:
        """The streams of the given clients, chunk by chunk.

        Args:
            clients: Client numbers, [K].
            length: Steps in a chunk; the last may be shorter.
            plan: The clients' plan, if it is at hand.

        Yields:
            Chunks in stream order. What a client sees depends neither on `length` nor on the other clients.
        """
        plan = plan or self.plan(clients)
        labels_of = _Labels(self.seed, clients, plan, self.run_length)
        seen = _Seen(
            len(clients), 0 if self.replacement else self.steps, len(self.images.count), len(self.images.order)
        )
        for start in range(0, self.steps, length):
            stop = min(start + length, self.steps)
            segments = plan.segment(start, stop)
            labels = labels_of.draw(start, segments)
            drawn = [self._draw_image(clients, labels[:, i], start + i, seen) for i in range(stop - start)]
            yield StreamChunk(start, np.stack(drawn, axis=1), labels, segments)

    def most_of_a_class(self, clients: NDArray[np.integer]) -> NDArray[np.int64]:
        """How often the keenest of the given clients meets each class, int64 [C]."""
        plan = self.plan(clients)
        labels = _Labels(self.seed, clients, plan, self.run_length).draw(0, plan.segment(0, self.steps))
        cells = np.arange(len(clients))[:, None] * len(self.images.count) + labels
        met = np.bincount(cells.ravel(), minlength=len(clients) * len(self.images.count))
        return met.reshape(len(clients), -1).max(axis=0)

    def _draw_image(
        self, clients: NDArray[np.integer], label: NDArray[np.int64], step: int, seen: "_Seen"
    ) -> NDArray[np.int64]:
        """Draws an image of each client's label, int64 [K]."""
        first, count = self.images.first[label], self.images.count[label]
        u = uniforms(self.seed, "image", clients, step)
        if self.replacement:
            return self.images.order[first + (u * count).astype(np.int64)]
        return self.images.order[seen.swap(first, count, label, u)]


class _Labels:
    """Draws labels by inverting the concepts' cumulative distributions."""

    def __init__(self, seed: int, clients: NDArray[np.integer], plan: Plan, run_length: float) -> None:
        self.seed = seed
        self.clients = clients
        self.plan = plan
        self.run_length = run_length
        self.run = np.zeros((len(clients), 1), dtype=np.int64)
        cumulative = np.cumsum(plan.priors, axis=2)
        cumulative /= cumulative[:, :, -1:]
        # One sorted array for all (client, concept) rows: row r occupies (r, r + 1], so one search serves all.
        self.num_concepts, self.num_classes = plan.priors.shape[1:]
        rows = np.arange(len(clients) * self.num_concepts).reshape(len(clients), -1)
        self.sorted = (cumulative + rows[:, :, None]).ravel()

    def draw(self, start: int, segments: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels of the steps from `start` on, int64 [K, T], given their segments. Steps must be asked for in order."""
        steps = self._runs(start + np.arange(segments.shape[1])[None])
        rows = np.arange(len(segments))[:, None]
        concept = self.plan.concept[rows, segments]
        if self.plan.weight is not None:
            u = uniforms(self.seed, "concept", self.clients[:, None], steps)
            weight = self.plan.weight[:, start : start + segments.shape[1]]
            concept = np.where(u < weight, concept, self.plan.previous[rows, segments])
        row = rows * self.num_concepts + concept
        # The draw keeps 32 bits: with more, r + u could round up into the next row.
        u = np.floor(uniforms(self.seed, "label", self.clients[:, None], steps) * 2.0**32) / 2.0**32
        return np.searchsorted(self.sorted, row + u, side="right") - row * self.num_classes

    def _runs(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """First step of the run that each step belongs to."""
        if self.run_length == 1.0:
            return steps
        fresh = uniforms(self.seed, "run", self.clients[:, None], steps) * self.run_length < 1.0
        begun = np.concatenate([self.run, np.where(fresh, steps, 0)], axis=1)
        runs = np.maximum.accumulate(begun, axis=1)[:, 1:]
        self.run = runs[:, -1:]
        return runs


class _Seen:
    """Sampling without replacement: a Fisher-Yates shuffle of each class's images, for the places that were touched.

    Shuffling puts at place j what lay at a random place r >= j, and what lay at j moves to r. Only the moves are kept,
    so the cost does not grow with the number of images, and every order is exactly equally likely.
    """

    def __init__(self, num_clients: int, steps: int, num_classes: int, num_images: int) -> None:
        self.num_images = num_images
        self.rows = np.arange(num_clients)
        self.met = np.zeros((num_clients, num_classes), dtype=np.int64)
        self.moved_to = np.full((num_clients, steps), -1, dtype=np.int64)
        self.moved = np.zeros((num_clients, steps), dtype=np.int64)
        self.step = 0

    def swap(
        self,
        first: NDArray[np.int64],
        count: NDArray[np.int64],
        label: NDArray[np.int64],
        u: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """What the shuffle puts at the label's next place; places run over all classes, [K].

        A client that has met all images of a class starts a new shuffle of them, on places of its own.
        """
        again, already = np.divmod(self.met[self.rows, label], count)
        place = again * self.num_images + first + already
        target = place + (u * (count - already)).astype(np.int64)
        drawn = self._at(target)
        self.moved[:, self.step] = self._at(place)
        self.moved_to[:, self.step] = target
        self.met[self.rows, label] += 1
        self.step += 1
        return drawn % self.num_images

    def _at(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """What lies at a place now: what was moved there last, or what lay there from the start."""
        if self.step == 0:
            return place
        moves = self.moved_to[:, : self.step][:, ::-1] == place[:, None]
        latest = moves.argmax(axis=1)
        return np.where(moves[self.rows, latest], self.moved[self.rows, self.step - 1 - latest], place)
