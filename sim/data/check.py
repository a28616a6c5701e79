"""What is on disk: a data set inspected without any model."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data import Features, Images, open_data
from sim.data.decode import missing_reader
from sim.data.times import DATED, shown_span, shown_time
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
class Taken:
    """When the images of one side were taken.

    Args:
        first: The earliest.
        last: The latest.
        span_per_client: From each client's first image to its last; of clients with two images or more.
        median_gap: Between two images of a client that follow each other; None if no client has two.
        tied_share: Share of these that were taken at one moment, so that their order is that of the data.
    """

    first: float
    last: float
    span_per_client: Spread | None
    median_gap: float | None
    tied_share: float | None

    @staticmethod
    def of(times: NDArray[np.float64] | None, clients: NDArray[np.int64] | None) -> "Taken | None":
        """Of times, [M], and whose each image is; None if nobody says when."""
        if times is None:
            return None
        owners = np.zeros(len(times), dtype=np.int64) if clients is None else clients
        order = np.lexsort((times, owners))
        gaps = np.diff(times[order])[np.diff(owners[order]) == 0]
        sizes = np.bincount(owners)
        last = np.cumsum(sizes) - 1
        several = np.flatnonzero(sizes > 1)
        spans = times[order][last[several]] - times[order][last[several] - sizes[several] + 1]
        return Taken(
            float(times.min()),
            float(times.max()),
            None if clients is None else Spread.of(spans),
            float(np.median(gaps)) if len(gaps) else None,
            float((gaps == 0).mean()) if len(gaps) else None,
        )


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
        taken: When; None if the data do not say.
    """

    images: int
    classes: int
    images_per_class: Spread | None
    clients: int | None
    images_per_client: Spread | None
    classes_per_client: Spread | None
    taken: Taken | None


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
        passed_over: Files among the images that are none.
        notes: What was done to the data that their owner may not expect.
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
    passed_over: Sequence[str]
    notes: Sequence[str]
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
        yield from self._taken()
        yield "missing files", _files(self.missing)
        yield "broken files", _files(self.broken)
        if self.passed_over:
            kinds = Counter(PurePath(name).suffix.lower() or "no extension" for name in self.passed_over)
            counted = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common(SHOWN))
            yield "no images", f"{_files(self.passed_over)}: {counted}"
        for note in self.notes:
            yield "note", note

    def _taken(self) -> Iterator[tuple[str, str]]:
        """When images were taken, where the data say it."""
        train, test = self.train.taken, self.test.taken
        if train is None or test is None:
            return
        yield "taken", _sides([f"{shown_time(half.first)} to {shown_time(half.last)}" for half in (train, test)])
        shown = shown_span if train.first >= DATED else "{:,g}".format
        spans = [half.span_per_client for half in (train, test)]
        if None not in spans:
            yield "first to last of one", _sides([f"median {shown(span.median)}" for span in spans if span is not None])
        gaps = [half.median_gap for half in (train, test)]
        if None not in gaps:
            yield "between two of one", _sides([f"median {shown(gap)}" for gap in gaps if gap is not None])
        ties = [half.tied_share for half in (train, test)]
        if any(ties):
            yield "at the same moment", _sides([f"{100 * (share or 0):.1f} %" for share in ties])

    def _both(self, name: str) -> str:
        values = [getattr(half, name) for half in (self.train, self.test)]
        return _sides([f"{value:,}" if isinstance(value, int) else str(value) for value in values])


def _sides(texts: Sequence[str]) -> str:
    return f"train {texts[0]}; test {texts[1]}"


def _files(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names):,}" + (f" ({', '.join(names[:SHOWN])}{more})" if names else "")


Judge = Callable[[Images | Features], Iterable[str]]
"""Data that can be read -> why a run would refuse them all the same."""


def inspect_data(
    settings: Data, seed: int, cache: Cache, stage: StageProgress, judge: Judge = lambda data: ()
) -> DataReport:
    """Inspects a data set, however many of the files are missing or broken.

    Args:
        settings: A scenario's `data`.
        seed: By which clients' images are cut from the cloud's, where the data do not say.
        cache: Where it is remembered what files hold.
        stage: Told how far the first look at files is.
        judge: Asked for more problems.

    Raises:
        DataError: They cannot be made sense of; the message says where and why.
    """
    allowed: float | None = getattr(settings, "unreadable_share", None)
    if allowed is not None:
        settings = settings.model_copy(update={"unreadable_share": 1.0})
    data = open_data(settings, seed, Preprocessing(224), cache, stage)  # no image is read
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
                + missing_reader(broken)
            )
    problems += judge(data)
    halves = [_half(data, side) for side in ("train", "test")]
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
        passed_over=list(data.passed_over) if isinstance(data, Images) else [],
        notes=list(data.notes),
        problems=problems,
    )


def _half(data: Images | Features, side: str) -> Half:
    labels = np.asarray(getattr(data, side).labels)
    clients: NDArray[np.int64] | None = getattr(data, f"{side}_clients")
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
        taken=Taken.of(getattr(data, f"{side}_times"), clients),
    )
