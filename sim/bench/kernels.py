"""Kernel speed on one thread: the stream context, the set context and the published way on the same numbers, in one run."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from iciia.contexts.iciia import ICIIA
from iciia.contexts.published import predict_set
from iciia.overhead import cost_of

FEATURES, CLASSES, LAYERS, HEADS, CAPACITY = 1280, 1000, 3, 4, 15
CLIENTS, STEPS = 16, 16
AUTHORS_IMAGES_PER_S = {256: 152, 1: 42}
"""Measured once on the authors' code, on a thread whose products peak at 160 GFLOP/s."""


@dataclass(frozen=True)
class Kernel:
    """One measured way of computing.

    Args:
        name: What.
        images_per_s: How fast, on one thread.
        times_published: Over the published way, in the same run.
        peak_share: Of the thread's peak in products of the same dtype, by the formula's MACs (classifier included); None for the
            published way, which computes other MACs.
    """

    name: str
    images_per_s: float
    times_published: float
    peak_share: float | None


def measure_kernels(seconds: float) -> Iterator[str]:
    """Measures all kernels and yields lines for people.

    Args:
        seconds: How long each is repeated; the fastest repetition counts.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        peaks = {dtype: _peak(dtype, seconds) for dtype in (torch.float32, torch.bfloat16)}
        yield (
            f"one thread, D={FEATURES}, L={LAYERS}, H={HEADS}, N={CAPACITY}, C={CLASSES}, chunks of {CLIENTS} clients x {STEPS} "
            f"images; product peak "
            f"{peaks[torch.float32] / 1e9:.0f} GFLOP/s in float32, {peaks[torch.bfloat16] / 1e9:.0f} in bfloat16"
        )
        yield f"{'':<38}{'images/s':>12}{'x published':>14}{'share of peak':>16}"
        for partitions in (256, 1):
            for kernel in _kernels(partitions, peaks, seconds):
                share = "" if kernel.peak_share is None else f"{100 * kernel.peak_share:.0f} %"
                yield f"{kernel.name:<38}{kernel.images_per_s:>12,.0f}{kernel.times_published:>14.1f}{share:>16}".rstrip()
    finally:
        torch.set_num_threads(threads)


def _kernels(partitions: int, peaks: dict[torch.dtype, float], seconds: float) -> Iterator[Kernel]:
    torch.manual_seed(0)
    features, logits = torch.randn(CLIENTS, STEPS, FEATURES), torch.randn(CLIENTS, STEPS, CLASSES)
    theirs = _module(partitions, context="set", head="replaced")
    published = 1.0 / _fastest(lambda: predict_set(theirs, features[0, : CAPACITY + 1]), seconds)
    yield Kernel(f"P={partitions} published way", published, 1.0, None)
    ways = [
        ("set context", theirs, torch.float32),
        ("stream, residual head", _module(partitions, context="stream", head="residual"), torch.float32),
        (
            "stream, shortlist of 32",
            _module(partitions, context="stream", head="residual", shortlist=32),
            torch.float32,
        ),
        ("stream, residual head, bfloat16", _module(partitions, context="stream", head="residual"), torch.bfloat16),
    ]
    for name, module, dtype in ways:
        module.to(dtype)
        with torch.inference_mode():
            _, full = module(features, logits, module.empty_bank(CLIENTS, CAPACITY, dtype))
            step = functools.partial(module, features, logits, full)
            speed = CLIENTS * STEPS / _fastest(step, seconds)
        # all classes are computed for many images at once, whatever the shortlist
        macs = cost_of(module, CAPACITY).macs_module + FEATURES * CLASSES
        yield Kernel(f"P={partitions} {name}", speed, speed / published, speed * 2 * macs / peaks[dtype])


def _module(partitions: int, **settings: object) -> ICIIA:
    return ICIIA(FEATURES, CLASSES, LAYERS, HEADS, partitions, **settings).eval()  # type: ignore[arg-type]


def _peak(dtype: torch.dtype, seconds: float) -> float:
    """FLOP/s of a large square product."""
    size = 1024
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    return 2 * size**3 / _fastest(lambda: a @ b, seconds)


def _fastest(call: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest repetition."""
    call()
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best
