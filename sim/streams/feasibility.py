"""Whether streams find in the data what they ask for."""

from collections.abc import Sequence

import numpy as np

from sim.data import Features, Images
from sim.scenario.clients import ClientsSettings
from sim.scenario.drifts import NoDriftSettings, OwnDriftSettings, PriorDriftSettings, RecurringDriftSettings
from sim.scenario.file import Key
from sim.scenario.modules import StreamShare
from sim.scenario.sections import Found
from sim.streams.build import build_drift, build_stream, subset_sizes
from sim.streams.checks import check_drift
from sim.streams.stream import GroupedImages, Stream

CLIENTS_AT_A_TIME = 64


def stream_problems(clients: ClientsSettings, seed: int, kind: str, data: Images | Features) -> Found:
    """Whether the data have the clients, classes and images that streams ask for.

    Args:
        clients: A scenario's `clients`.
        seed: The seed of the streams.
        kind: `data.kind`, for words.
        data: What clients see.
    """
    if clients.source == "natural":
        yield from _natural_problems(clients, kind, data)
    elif data.test.labels.ndim == 1:
        subsets = list(_subset_problems(clients, seed, kind, data))
        yield from subsets
        if not subsets:
            yield from _shortages(clients, seed, data)


def share_problems(shares: Sequence[StreamShare], key: Key, length: int, kind: str, data: Images | Features) -> Found:
    """Whether the data have the classes that a module's own streams ask for.

    Args:
        shares: `modules.NAME.streams`.
        key: Its key.
        length: Images in a sequence.
        kind: `data.kind`, for words.
        data: What the module learns from.
    """
    for number, share in enumerate(shares):
        clients = ClientsSettings(count=1, images=length, subset=share.subset, drift=share.drift, order=share.order)
        for place, message in _subset_problems(clients, 0, kind, data):
            yield (*key, number, *place[1:]), message


def _natural_problems(clients: ClientsSettings, kind: str, data: Images | Features) -> Found:
    """Whether the data have as many clients of their own as the scenario takes."""
    if data.test_clients is None:
        yield (
            ("clients", "source"),
            f'got "natural", and these {kind} data do not say whose an image is; set drawn',
        )
        return
    there = len(np.unique(data.test_clients))
    if clients.count > there:
        yield ("clients", "count"), f"got {clients.count}, and the data have {there} natural clients"
    if clients.order.by == "time" and data.test_times is None:
        yield (
            ("clients", "order", "by"),
            f'got "time", and these {kind} data do not say when images were taken; set random or stored',
        )


def _subset_problems(clients: ClientsSettings, seed: int, kind: str, data: Images | Features) -> Found:
    key: Key = ("clients", "subset", "classes")
    drift, classes, sizes = clients.drift, data.classes, subset_sizes(clients.subset)
    moves = not isinstance(drift, NoDriftSettings | PriorDriftSettings)
    if sizes is None:
        groups = 0 if classes.superclass is None else len(np.unique(classes.superclass))
        if groups == 0:
            yield (
                key,
                f"{kind} data have no superclasses; give a number of classes, 1 to {len(classes)}",
            )
            return
        if groups == 1 and moves:
            yield key, "the data have a single superclass, and drift needs another to go to"
            return
        room, thing = groups, "superclasses"
    else:
        if sizes[1] > len(classes):
            yield key, f"got {sizes[1]}, and the data have {len(classes)} classes"
            return
        room, thing = len(classes) // sizes[1], f"subsets of {sizes[1]} classes"
        overlap = getattr(drift, "overlap", None)
        if overlap is not None:
            yield from _overlap_problems(overlap, sizes, len(classes))
    if isinstance(drift, RecurringDriftSettings):
        pool = (drift.pool or 0) if drift.matrix is None else 1 + max(max(row) for row in _rows(drift))
        if pool > room:
            name = "pool" if drift.matrix is None else "matrix"
            yield (
                ("clients", "drift", name),
                f"needs {pool} subsets without common classes, and the data have {room} {thing}",
            )
    if isinstance(drift, OwnDriftSettings):
        yield from _own_problems(clients, seed, drift)


def _overlap_problems(overlap: float, sizes: tuple[int, int], classes: int) -> Found:
    least, most = sizes
    if round(overlap * least) == least:
        yield (
            ("clients", "drift", "overlap"),
            f"got {overlap}: of {least} classes it replaces none; lower it",
        )
        return
    fresh = most - round(overlap * most)
    if most + fresh > classes:
        yield (
            ("clients", "subset", "classes"),
            f"got {most}: a drift brings {fresh} new ones, and the data have {classes} classes in all",
        )


def _rows(drift: RecurringDriftSettings) -> list[list[int]]:
    return drift.matrix if isinstance(drift.matrix, list) else []


def _own_problems(clients: ClientsSettings, seed: int, drift: OwnDriftSettings) -> Found:
    """Whether a process of the user's own can be made, and keeps what a process must keep."""
    key: Key = ("clients", "drift", "process")
    try:
        build_drift(drift, seed)
    except ValueError as error:
        yield key, str(error)
        return
    try:
        check_drift(lambda seed: build_drift(drift, seed), int(clients.images))
    except AssertionError as error:
        yield key, f"{drift.process} {error}"


def _shortages(clients: ClientsSettings, seed: int, data: Images | Features) -> Found:
    """Whether a client asks for more images of a class than there are, without replacement."""
    images = GroupedImages.of(np.asarray(data.test.labels), len(data.classes))
    if (images.count == 0).any():
        name = data.classes.names[int(np.argmin(images.count))]
        yield ("data",), f"class {name!r} has no image for the clients; every class needs one"
        return
    stream = build_stream(clients, seed, data.classes.superclass, data.test.labels, len(data.classes))
    if clients.sampling != "without_replacement" or not isinstance(stream, Stream):
        return
    if images.count.min() >= stream.steps:
        return
    for first in range(0, clients.count, CLIENTS_AT_A_TIME):
        numbers = np.arange(first, min(first + CLIENTS_AT_A_TIME, clients.count))
        most = stream.most_of_a_class(numbers)
        short = np.flatnonzero(most > images.count)
        if len(short):
            c = int(short[np.argmax((most / images.count)[short])])
            yield (
                ("clients", "sampling"),
                f"some client meets {most[c]} images of class {data.classes.names[c]!r}, which has {images.count[c]}; lower "
                "clients.images, give more images, or set with_replacement or wrap_around",
            )
            return
