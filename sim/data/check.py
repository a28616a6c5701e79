"""What is on disk: a data set inspected without any model."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.cache import Cache
from sim.data import Features, Images, open_data
from sim.scenario.data import Data
from sim.stage import StageProgress

SHOWN = 3
"""Missing or broken files that are named for people; scripts get all."""


@dataclass(frozen=True)
class Spread:
    """Least, median and most of some numbers."""

    min: float
    median: float
    max: float

    @staticmethod
    def of(values: NDArray[np.integer]) -> "Spread | None":
        """Of values, [M]; None if there are none."""
        if len(values) == 0:
            return None
        return Spread(float(values.min()), float(np.median(values)), float(values.max()))

    def __str__(self) -> str:
        if self.min == self.max:
            return f"{self.min:,.0f}"
        return f"{self.min:,.0f} to {self.max:,.0f}, median {self.median:,g}"


@dataclass(frozen=True)
class Half:
    """One side of a data set.

    Args:
        images: Images, or clips.
        classes: Classes, or attributes, that some image has.
        images_per_class: Images of each of all classes.
        clients: Natural clients; None if the data have none.
        images_per_client: Images of each, the length of its stream.
        classes_per_client: Classes, or attributes, that each meets.
    """

    images: int
    classes: int
    images_per_class: Spread | None
    clients: int | None
    images_per_client: Spread | None
    classes_per_client: Spread | None


@dataclass(frozen=True)
class DataReport:
    """A data set as it is on disk.

    Args:
        kind: `data.kind`.
        task: `multi_class` or `multi_label`.
        classes: C.
        superclasses: S; 0 where classes are not grouped.
        channels: Of the images; None for ready features.
        frames: Frames of each video file; None for images.
        height: Height of each file as it is stored; None where images are not files.
        width: Likewise.
        train: What the cloud learns from.
        test: What clients see.
        clients_on_both_sides: Natural clients that train and test share.
        missing: Files that a list names and that are not there.
        broken: Files that cannot be read.
        problems: Why a run would be refused.
    """

    kind: str
    task: str
    classes: int
    superclasses: int
    channels: int | None
    frames: Spread | None
    height: Spread | None
    width: Spread | None
    train: Half
    test: Half
    clients_on_both_sides: int | None
    missing: Sequence[str]
    broken: Sequence[str]
    problems: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)

    def rows(self) -> Iterator[tuple[str, str]]:
        """For people."""
        grouped = f" in {self.superclasses} superclasses" if self.superclasses else ""
        each, one, many = (
            ("one", "class", "classes") if self.task == "multi_class" else ("any", "attribute", "attributes")
        )
        yield "data", self.kind
        yield "task", f"{each} of {self.classes:,} {many}{grouped}"
        yield "images", self._both("images")
        if self.height is not None:
            yield "height, pixels", str(self.height)
            yield "width, pixels", str(self.width)
        if self.frames is not None:
            yield "frames", str(self.frames)
        if self.channels is not None:
            yield "channels", str(self.channels)
        yield f"{many} met", self._both("classes")
        yield f"images per {one}", self._both("images_per_class")
        if self.clients_on_both_sides is None:
            yield "natural clients", "none"
        else:
            yield "natural clients", f"{self._both('clients')}; on both sides {self.clients_on_both_sides:,}"
            yield "images per client", self._both("images_per_client")
            yield f"{many} per client", self._both("classes_per_client")
        yield "missing files", _files(self.missing)
        yield "broken files", _files(self.broken)

    def _both(self, name: str) -> str:
        values = [getattr(half, name) for half in (self.train, self.test)]
        train, test = (f"{value:,}" if isinstance(value, int) else str(value) for value in values)
        return f"train {train}; test {test}"


def _files(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names):,}" + (f" ({', '.join(names[:SHOWN])}{more})" if names else "")


def inspect_data(settings: Data, seed: int, cache: Cache, stage: StageProgress) -> DataReport:
    """Inspects a data set, however many of the files are missing or broken.

    Args:
        settings: A scenario's `data`.
        seed: By which clients' images are cut from the cloud's, where the data do not say.
        cache: Where it is remembered what files hold.
        stage: Told how far the first look at files is.

    Raises:
        DataError: They cannot be made sense of; the message says where and why.
    """
    allowed: float | None = getattr(settings, "unreadable_share", None)
    if allowed is not None:
        settings = settings.model_copy(update={"unreadable_share": 1.0})
    data = open_data(settings, seed, 224, cache, stage)  # no image is read, so that its size is of no account
    missing: Sequence[str] = ()
    broken: Sequence[str] = ()
    frames, height, width = None, None, None
    channels: int | None = None
    problems: list[str] = []
    if isinstance(data, Images):
        missing, broken, channels = data.missing, data.skipped, data.train.channels
        if data.shapes is not None:
            frames, height, width = (Spread.of(column) for column in data.shapes.T)
        bad, total = len(missing) + len(broken), len(data.train.labels) + len(data.test.labels)
        total += bad
        if allowed is not None and bad > allowed * total:
            problems.append(
                f"{bad:,} of {total:,} files cannot be read, more than the allowed share of {allowed:g} (data.unreadable_share)"
            )
    halves = [_half(data, getattr(data, side).labels, getattr(data, f"{side}_clients")) for side in ("train", "test")]
    shared = None
    if data.train_clients is not None and data.test_clients is not None:
        shared = len(np.intersect1d(data.train_clients, data.test_clients))
    return DataReport(
        kind=settings.kind,
        task="multi_class" if np.ndim(data.train.labels) == 1 else "multi_label",
        classes=len(data.classes),
        superclasses=len(data.classes.superclass_names),
        channels=channels,
        frames=frames if frames is not None and frames.max > 1 else None,
        height=height,
        width=width,
        train=halves[0],
        test=halves[1],
        clients_on_both_sides=shared,
        missing=list(missing),
        broken=list(broken),
        problems=problems,
    )


def _half(data: Images | Features, labels: NDArray[np.int64], clients: NDArray[np.int64] | None) -> Half:
    labels = np.asarray(labels)
    image, label = np.nonzero(labels) if labels.ndim == 2 else (np.arange(len(labels)), labels)
    count = np.bincount(label, minlength=len(data.classes))
    met = None
    if clients is not None:
        pairs = np.unique(clients[image] * len(data.classes) + label)
        met = np.bincount(pairs // len(data.classes), minlength=int(clients.max()) + 1)
        lengths = np.bincount(clients)
        there = np.flatnonzero(lengths)
    return Half(
        images=len(labels),
        classes=int((count > 0).sum()),
        images_per_class=Spread.of(count),
        clients=None if met is None else len(there),
        images_per_client=None if met is None else Spread.of(lengths[there]),
        classes_per_client=None if met is None else Spread.of(met[there]),
    )
