"""What modules are trained on: streams of simulated clients over a part of the cloud's images."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.counter import generator
from sim.cloud.features import CloudFeatures
from sim.cloud.keys import FORMAT, platform_key
from sim.cloud.spec import CloudSpec
from sim.scenario.clients import ClientsSettings
from sim.scenario.drifts import NoDriftSettings, SuddenDriftSettings
from sim.scenario.modules import ModuleSettings
from sim.streams.build import build_stream
from sim.streams.natural import natural_sequences


def training_key(spec: CloudSpec, cloud: CloudFeatures) -> dict[str, Any]:
    """What decides what is learned of simulated clients, beside what learns."""
    return {
        "format": FORMAT,
        "features": cloud.key,
        "source": spec.clients.source,
        **({"order": "time"} if _in_time(spec, cloud) else {}),
        "subset": spec.clients.subset.model_dump(),
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


def sampler(
    spec: CloudSpec, settings: ModuleSettings, cloud: CloudFeatures, part: str
) -> Callable[[np.random.Generator, int], NDArray[np.int64]]:
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
