"""What adapters remember of one client at every step: a second pass over its stream, one image at a time.

Which images a bank holds is the same to the bit as in the run; weights are those of the run but for the last bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from iciia.adapters import Adapter, Chunk
from iciia.adapters.memory import Memory, memory_of
from sim.cloud.live import LiveStore
from sim.cohort.simulator import CohortSimulator


@dataclass(frozen=True)
class Remembered:
    """What adapters remember when one image arrives.

    Args:
        step: The image's step.
        memories: By adapter, of those that keep single images.
    """

    step: int
    memories: dict[str, Memory]


def memories(simulator: CohortSimulator, client: int, steps: range) -> Iterator[Remembered]:
    """What adapters remember of a client at consecutive steps of its stream.

    Args:
        simulator: Of a run whose protocol is `stream`.
        client: The client's number.
        steps: Which steps, within its stream.
    """
    settings, seed = simulator.job.clients, simulator.job.seed
    live = isinstance(simulator.store, LiveStore)
    # a backbone that runs in the loop sees what it saw in the run, to the last bit
    clients = np.full(settings.cohort if live else 1, client)
    plan = simulator.stream.plan(clients)
    states = {name: adapter.start(clients[:1], seed) for name, adapter in simulator.adapters.items()}
    latest = np.full((1, 1), -1)
    for part in simulator.stream.chunks(clients, settings.chunk, plan):
        if part.step >= steps.stop:
            return
        if isinstance(simulator.store, LiveStore):
            features, logits = simulator.store.look_up(part.images, clients, part.step)
        else:
            features, logits = simulator.store.gather(part.images)
        labels = part.labels[:1]
        past = np.concatenate([latest, labels[:, :-1]], axis=1) if labels.ndim == 2 else None
        latest = labels[:, -1:] if labels.ndim == 2 else latest
        whole = Chunk(
            features[:1],
            logits[:1],
            torch.from_numpy(plan.rows(slice(0, 1)).at(part.step, part.segments[:1])),
            None if past is None else torch.from_numpy(past),
        )
        for place in range(labels.shape[1]):
            step, one = part.step + place, _at(whole, place)
            if step >= steps.stop:
                return
            found = {}
            for name, adapter in list(simulator.adapters.items()):
                if name not in states:
                    continue
                shown = _shown(adapter, one)
                if step == 0 or step in steps:
                    memory = memory_of(adapter, states[name], shown, step)
                    if memory is None:
                        del states[name]  # nothing to be followed
                        continue
                    found[name] = memory
                _, states[name] = adapter.predict(states[name], shown)
            if step in steps:
                yield Remembered(step, found)


def _at(chunk: Chunk, place: int) -> Chunk:
    """One image of a chunk."""

    def part(of: torch.Tensor | None) -> torch.Tensor | None:
        return None if of is None else of[:, place : place + 1].contiguous()

    one = slice(place, place + 1)
    features, logits = chunk.features[:, one].contiguous(), chunk.logits[:, one].contiguous()
    return Chunk(features, logits, part(chunk.prior), part(chunk.past_labels))


def _shown(adapter: Adapter, chunk: Chunk) -> Chunk:
    """What an adapter may see of it."""
    prior = chunk.prior if adapter.sees == "prior" else None
    return replace(chunk, prior=prior, past_labels=chunk.past_labels if adapter.sees == "past_labels" else None)
