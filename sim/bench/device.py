"""Latency of exported steps as MLPerf measures a single stream: the next image is asked for as soon as the one before is answered.

At least 1,024 queries and 60 s, the 90th percentile counts (Reddi et al., arXiv 1911.02549). Backbone alone, backbone and default
module, and module alone take turns of a second, so that what else the machine does meets all three alike. Weights are untrained
and the image is made up: neither changes what is computed.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from iciia.adapters import BackboneAdapter, IciiaAdapter
from iciia.cloud.backbone import create_backbone
from iciia.contexts.priors import ClientPriors
from iciia.export import Step, WithBackbone, step_of, write
from sim.cloud.threads import torch_threads
from sim.engine.workers import cpus_here
from sim.errors import ExportError

QUERIES, SECONDS = 1024, 60.0
TURN = 1.0
BACKBONE, SUPERCLASSES, CAPACITY = "mobilenetv3_large_100", 85, 16

Query = Callable[[], None]
"""Answers one image and keeps the states for the next."""


@dataclass
class Stream:
    """What one subject took.

    Args:
        name: The subject.
        query: Answers one image.
        took: Seconds of each query.
    """

    name: str
    query: Query
    took: list[float] = field(default_factory=list)

    def turn(self, seconds: float) -> None:
        """Asks for images for so long, one at least."""
        until = time.perf_counter() + seconds
        while True:
            started = time.perf_counter()
            self.query()
            ended = time.perf_counter()
            self.took.append(ended - started)
            if ended >= until:
                return

    def done(self, seconds: float, queries: int) -> bool:
        """Whether it has been measured long enough."""
        return len(self.took) >= queries and sum(self.took) >= seconds

    def milliseconds(self, quantile: float) -> float:
        """A quantile of the latencies."""
        return float(1e3 * np.quantile(self.took, quantile))


def measure_device(
    runtime: str, seconds: float = SECONDS, queries: int = QUERIES, backbone: str = BACKBONE
) -> Iterator[str]:
    """Measures all three and yields lines for people.

    Args:
        runtime: One of `RUNTIMES`.
        seconds: How long each is measured at least.
        queries: How many images each answers at least.
        backbone: Name of the backbone.

    Raises:
        ExportError: The runtime is unknown or not installed.
    """
    if runtime not in RUNTIMES:
        raise ExportError(f"--runtime: got {runtime!r}; expected one of {', '.join(RUNTIMES)}")
    with tempfile.TemporaryDirectory() as folder, torch_threads(1):
        streams = [
            Stream(name, RUNTIMES[runtime](step, Path(folder) / name)) for name, step in subjects(backbone).items()
        ]
        for stream in streams:  # warm
            stream.turn(min(TURN, seconds))
            stream.took.clear()
        while not all(stream.done(seconds, queries) for stream in streams):
            for stream in streams:
                stream.turn(min(TURN, seconds))
    capability = torch.backends.cpu.get_cpu_capability()
    yield (
        f"one image at a time, one thread, {runtime} {version(runtime)}, {backbone}, default module, bank {CAPACITY}; "
        f"{cpus_here()} cores, {capability}"
    )
    yield f"{'':<24}{'queries':>10}{'median ms':>12}{'p90 ms':>10}{'x backbone':>12}"
    alone = streams[0].milliseconds(0.9)
    for one in streams:
        p50, p90 = one.milliseconds(0.5), one.milliseconds(0.9)
        yield f"{one.name:<24}{len(one.took):>10,}{p50:>12.2f}{p90:>10.2f}{p90 / alone:>12.2f}"


def subjects(name: str) -> dict[str, Step]:
    """Steps of the backbone alone, of both, and of the module alone."""
    backbone = create_backbone(name, 3, torch.device("cpu"))
    module = ClientPriors(backbone.feature_dim, backbone.classes, SUPERCLASSES)
    module.mixture.superclass.copy_(torch.arange(backbone.classes) % SUPERCLASSES)
    shape = (3, backbone.image_size, backbone.image_size)
    adapters = BackboneAdapter(), IciiaAdapter(module, CAPACITY)
    alone, adapted = (step_of(adapter, backbone.classes) for adapter in adapters)
    return {
        "backbone": WithBackbone(backbone, alone, shape),
        "backbone and module": WithBackbone(backbone, adapted, shape),
        "module": adapted,
    }


def _made_up(step: Step) -> list[torch.Tensor]:
    """An image for a step, or a feature and logits."""
    random = torch.Generator().manual_seed(0)
    return [
        torch.randint(256, one.value.shape, generator=random, dtype=torch.uint8)
        if one.value.dtype == torch.uint8
        else torch.randn(one.value.shape, generator=random)
        for one in step.inputs
    ]


def _in_onnxruntime(step: Step, folder: Path) -> Query:
    try:
        import onnxruntime

        file, _ = write(step, folder, "onnx", {})
    except ImportError as error:
        raise ExportError(f"--runtime onnxruntime: {error}; pip install 'iciia-sim[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    read = [*_made_up(step), *(one.value for one in step.states)]
    feed = {name: tensor.numpy() for name, tensor in zip(step.input_names, read, strict=True)}
    states = step.input_names[len(step.inputs) :]

    def query() -> None:
        _, *after = session.run(None, feed)
        feed.update(zip(states, after, strict=True))

    return query


def _in_torch(step: Step, folder: Path) -> Query:
    inputs, states = _made_up(step), [one.value for one in step.eval().states]

    @torch.inference_mode()
    def query() -> None:
        _, *states[:] = step(*inputs, *states)

    return query


RUNTIMES: dict[str, Callable[[Step, Path], Query]] = {"onnxruntime": _in_onnxruntime, "torch": _in_torch}
"""What runs a step; a folder is there for files."""
