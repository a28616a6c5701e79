"""What a single image costs on a device: latency, one image at a time on one thread, beside the multiply-adds of the formula.

Modules are untrained and features made up, with the sizes of a scenario's data: neither changes what is computed, but for LAME and
em_prior, whose iterations depend on the numbers. Python's share of a small adapter's time is large; a device would not run Python.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from iciia.adapters import Adapter, Chunk
from iciia.adapters.source import Source
from sim.cache import Cache
from sim.cloud.modules import untrained
from sim.cloud.spec import feature_dim
from sim.cloud.threads import torch_threads
from sim.cohort.adapters import build_adapters
from sim.engine.parts import cloud_spec
from sim.scenario.file import read
from sim.scenario.validation import validate

SEEN = 128
"""Images that each adapter has seen before it is timed: windows of 64 are full and what is tuned is tuned."""

SUBSET, FEWEST = 20, 50


@dataclass(frozen=True)
class Latency:
    """What one adapter took.

    Args:
        name: The adapter.
        macs_per_image: By formula.
        images: How many were timed.
        median_us: Median over them, microseconds.
        p95_us: 95th percentile.
    """

    name: str
    macs_per_image: int
    images: int
    median_us: float
    p95_us: float


def measure_latency(scenario: str, seconds: float) -> Iterator[str]:
    """Measures every adapter of a scenario and yields lines for people.

    Args:
        scenario: A YAML file or the name of a shipped scenario.
        seconds: How long each adapter is timed, but at least 50 images.

    Raises:
        ScenarioError: The scenario has problems.
    """
    settings = validate(read(scenario))
    spec = cloud_spec(settings)
    cache = Cache()
    data = spec.open(cache)
    features, classes = feature_dim(spec, data), len(data.classes)
    modules = {name: untrained(one, features, data.classes, cache) for name, one in settings.modules.items()}
    adapters = build_adapters(list(settings.adapters), modules, Source.blank(features, classes), settings.clients)
    yield f"one image at a time, one thread, D={features}, C={classes}, after {SEEN} images"
    yield f"{'adapter':<24}{'MACs/image':>16}{'median us':>14}{'p95 us':>14}"
    with torch_threads(1):
        for name, adapter in adapters.items():
            found = latency_of(name, adapter, features, classes, seconds)
            yield f"{found.name:<24}{found.macs_per_image:>16,}{found.median_us:>14,.0f}{found.p95_us:>14,.0f}"


def latency_of(name: str, adapter: Adapter, features: int, classes: int, seconds: float) -> Latency:
    """Times one adapter on one client's stream of a few classes.

    Args:
        name: What it is called.
        adapter: The adapter.
        features: D.
        classes: C.
        seconds: How long, but at least 50 images.
    """
    chunk = _stream(features, classes, SEEN)
    _, state = adapter.predict(adapter.start(np.zeros(1, dtype=np.int64), 0), chunk)
    took: list[float] = []
    until = time.perf_counter() + seconds
    while len(took) < FEWEST or time.perf_counter() < until:
        image = _image(chunk, len(took) % SEEN)
        started = time.perf_counter()
        _, state = adapter.predict(state, image)
        took.append(time.perf_counter() - started)
    median, p95 = 1e6 * np.quantile(took, [0.5, 0.95])
    return Latency(name, adapter.cost().macs_per_image, len(took), float(median), float(p95))


def _stream(features: int, classes: int, steps: int) -> Chunk:
    """One client's images, with all that any adapter may see."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(min(SUBSET, classes), (1, steps), generator=random)
    means = torch.randn(classes, features, generator=random)
    z = (means[labels] + torch.randn(1, steps, features, generator=random)).relu()
    logits = torch.randn(1, steps, classes, generator=random) + 6 * torch.nn.functional.one_hot(labels, classes)
    prior = (torch.arange(classes) < SUBSET).float().expand(1, steps, -1) / min(SUBSET, classes)
    past = torch.cat([torch.full((1, 1), -1), labels[:, :-1]], dim=1)
    return Chunk(z, logits, prior, past)


def _image(chunk: Chunk, step: int) -> Chunk:
    """One image of it; the first past label is nobody's and is taken to be 0."""
    part = slice(step, step + 1)
    assert chunk.prior is not None
    assert chunk.past_labels is not None
    past = chunk.past_labels[:, part].clamp_min(0)
    return Chunk(chunk.features[:, part], chunk.logits[:, part], chunk.prior[:, part], past)
