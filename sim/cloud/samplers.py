"""What modules are trained on: streams of simulated clients over a part of the cloud's images."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.counter import generator
from sim.cloud.features import CloudFeatures
from sim.cloud.keys import FORMAT, platform_key
from sim.cloud.mixed import mixed
from sim.cloud.spec import CloudSpec
from sim.scenario.clients import ClientsSettings, SizeRange
from sim.scenario.drifts import NoDriftSettings, SuddenDriftSettings
from sim.scenario.modules import ModuleSettings, PriorsSettings, StreamShare
from sim.streams.build import build_stream, subset_sizes
from sim.streams.natural import natural_sequences
from sim.streams.stream import Streams

Draw = Callable[[np.random.Generator, int], NDArray[np.int64]]
"""Draws the images of that many clients: (rng, B) -> image numbers [B, T]."""


def training_key(spec: CloudSpec, cloud: CloudFeatures, of_clients: bool = True) -> dict[str, Any]:
    """What decides what is learned of simulated clients, beside what learns.

    Args:
        spec: What is asked for.
        cloud: What there is to learn from.
        of_clients: Whether these are like the scenario's own.
    """
    clients: dict[str, Any] = {}
    if of_clients:
        order = {"order": "time"} if _in_time(spec, cloud) else {}
        clients = {"source": spec.clients.source, **order, "subset": spec.clients.subset.model_dump()}
    return {
        "format": FORMAT,
        "features": cloud.key,
        **clients,
        "superclass": None if cloud.classes.superclass is None else cloud.classes.superclass.tolist(),
        "seed": spec.seed,
        "threads": spec.cloud.threads,
        "device": spec.device.type,
        "platform": platform_key(),
    }


def _in_time(spec: CloudSpec, cloud: CloudFeatures) -> bool:
    """Whether clients meet their images in the order in which these were taken."""
    timed = cloud.train_times is not None
    return timed and spec.clients.source == "natural" and spec.clients.order.chosen(timed) == "time"


def trained_on_superclasses(spec: CloudSpec) -> bool:
    """Whether what is trained here meets clients of one superclass at a time, and so learns which classes belong together."""
    return spec.clients.source == "drawn" and spec.clients.subset.classes == "superclass"


def sampler(spec: CloudSpec, settings: ModuleSettings, cloud: CloudFeatures, part: str) -> Draw:
    """Streams of simulated training clients over one part of the cloud's images."""
    images = cloud.parts[part]
    if spec.clients.source == "natural" and cloud.train_clients is not None:
        every = settings.drift_every if settings.recipe == "stream" else None
        times = cloud.train_times[images] if _in_time(spec, cloud) and cloud.train_times is not None else None
        drawn = natural_sequences(cloud.train_clients[images], settings.length, every, times)
        return lambda rng, count: images[drawn(rng, count)]
    clients = ClientsSettings(
        count=1,
        images=settings.length,
        subset=spec.clients.subset,
        drift=SuddenDriftSettings(kind="sudden", every=settings.drift_every, layout="staggered")
        if settings.recipe == "stream"
        else NoDriftSettings(),
    )
    # a seed of its own, so that no training client is one of the simulated clients
    seed = int(generator(spec.seed, f"sampler {part}").integers(2**62))
    labels = np.asarray(cloud.train.labels)[images]
    stream = build_stream(clients, seed, cloud.classes.superclass, labels, len(cloud.classes))

    def sample(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        numbers = rng.integers(2**62, size=count)
        (chunk,) = stream.chunks(numbers, settings.length)
        return images[chunk.images]

    return sample


def shares_of(settings: PriorsSettings, spec: CloudSpec, cloud: CloudFeatures) -> list[StreamShare]:
    """The mixture of streams that a module is trained on."""
    if isinstance(settings.streams, list):
        return settings.streams
    if settings.streams == "as_clients":
        clients = spec.clients
        return [StreamShare(subset=clients.subset, drift=clients.drift, order=clients.order)]
    superclass = cloud.classes.superclass
    return mixed(len(cloud.classes), superclass is not None and len(np.unique(superclass)) > 1)


def mixture_sampler(spec: CloudSpec, settings: PriorsSettings, cloud: CloudFeatures, part: str) -> Draw:
    """Streams of a mixture over one part of the cloud's images, or of the data's own clients if these are asked for."""
    images = cloud.parts[part]
    if settings.streams == "as_clients" and spec.clients.source == "natural" and cloud.train_clients is not None:
        drawn = natural_sequences(cloud.train_clients[images], settings.length, None)
        return lambda rng, count: images[drawn(rng, count)]
    shares = shares_of(settings, spec, cloud)
    streams = [_stream(spec, share, settings.length, cloud, part, number) for number, share in enumerate(shares)]
    weights = np.array([share.weight for share in shares])

    def sample(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        found = np.empty((count, settings.length), dtype=np.int64)
        which = rng.choice(len(shares), size=count, p=weights / weights.sum())
        for number in np.unique(which):
            rows = np.flatnonzero(which == number)
            (chunk,) = streams[number].chunks(rng.integers(2**62, size=len(rows)), settings.length)
            found[rows] = chunk.images
        return images[found]

    return sample


def _stream(spec: CloudSpec, share: StreamShare, length: int, cloud: CloudFeatures, part: str, number: int) -> Streams:
    """One kind of streams over the classes that are there, of which a subset leaves enough for a drift to go to."""
    there, labels = np.unique(np.asarray(cloud.train.labels)[cloud.parts[part]], return_inverse=True)
    sizes = subset_sizes(share.subset)
    subset = share.subset
    if sizes is not None:
        room = max(1, int(len(there) / (2.0 - getattr(share.drift, "overlap", 1.0))))
        least, most = (min(size, room) for size in sizes)
        subset = subset.model_copy(update={"classes": SizeRange(min=least, max=most)})
    clients = ClientsSettings(
        count=1, images=length, subset=subset, drift=share.drift, order=share.order, sampling="with_replacement"
    )
    seed = int(generator(spec.seed, f"streams {part} {number}").integers(2**62))
    superclass = cloud.classes.superclass
    groups = None if superclass is None else np.unique(superclass[there], return_inverse=True)[1]
    return build_stream(clients, seed, groups, labels, len(there))
