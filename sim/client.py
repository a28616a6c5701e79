"""Simulating a cohort: a pure function of (scenario, artifacts, cohort number).

For every chunk of the cohort's streams each adapter predicts, the predictions are scored, and the adapter's state after the
chunk replaces the one before. Labels stay on this side of the adapters.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from iciia.adapters import Adapter, Chunk
from iciia.features import FeatureStore
from iciia.model import ICIIA
from sim.adapters import build_adapters
from sim.drift import Plan
from sim.scenario import Scenario
from sim.staleness import measure_staleness, subsets_of
from sim.stream import ImagesByClass, Stream
from sim.streams import build_stream


@dataclass(frozen=True)
class Job:
    """What simulating any cohort takes.

    Args:
        scenario: The scenario.
        superclass: Superclass of each class, int64 [C]; None where classes are not grouped.
        store: Features of the images that clients see.
        modules: Trained modules by name.
    """

    scenario: Scenario
    superclass: NDArray[np.int64] | None
    store: FeatureStore
    modules: Mapping[str, ICIIA]

    def stream(self) -> Stream:
        """The clients' streams."""
        images = ImagesByClass.of(np.asarray(self.store.labels), self.store.classes)
        return build_stream(self.scenario.clients, self.scenario.seed, self.superclass, images)


@dataclass(frozen=True)
class CohortResult:
    """What happened to the clients of one cohort; clients that only pad it are left out.

    Args:
        cohort: Its number.
        clients: Client numbers, int64 [K].
        plan: Their class priors.
        staleness: What attention used, float32 [3, K, T], of adapters with diagnostics by name; see `sim.staleness`.
        segments: Segment of the plan at each step, int64 [K, T].
        images: Image seen at each step, int64 [K, T].
        labels: Its class, int64 [K, T].
        predictions: Class predicted by each adapter, int32 [A, K, T].
        confidences: Softmax probability of that class, float32 [A, K, T].
        losses: Negative log-likelihood of the label, nats, float32 [A, K, T].
    """

    cohort: int
    clients: NDArray[np.int64]
    plan: Plan
    staleness: Mapping[str, NDArray[np.float32]]
    segments: NDArray[np.int64]
    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int32]
    confidences: NDArray[np.float32]
    losses: NDArray[np.float32]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each prediction is right, bool [A, K, T]."""
        return self.predictions == self.labels


class CohortSimulator:
    """Simulates cohorts of one job.

    Args:
        job: What to simulate.

    Attributes:
        adapters: The scenario's adapters, by name and in order.
    """

    def __init__(self, job: Job) -> None:
        self.scenario = job.scenario
        self.store = job.store
        self.stream = job.stream()
        self.adapters: dict[str, Adapter] = build_adapters(list(job.scenario.adapters), job.modules)

    def simulate(self, cohort: int) -> CohortResult:
        """Simulates one cohort. The result depends on nothing but the job and the cohort's number.

        The cohort always has its full size: clients beyond the scenario's count fill it up and are dropped at the end, because
        a float product's last bits depend on its shape.
        """
        settings = self.scenario.clients
        clients = np.arange(cohort * settings.cohort, (cohort + 1) * settings.cohort)
        real = min(settings.cohort, settings.count - int(clients[0]))
        plan = self.stream.plan(clients)
        states = {name: adapter.start(clients, self.scenario.seed) for name, adapter in self.adapters.items()}
        pieces = []
        everybody = self.stream.images.count / self.stream.images.count.sum()
        subsets = subsets_of(plan, settings.subset.reserve_ratio, everybody)
        met: list[NDArray[np.int64]] = []
        stale: dict[str, list[NDArray[np.float32]]] = {}
        for chunk in self.stream.chunks(clients, settings.chunk, plan):
            features, logits = self.store.gather(chunk.images)
            seen = Chunk(features, logits)
            labels = torch.from_numpy(chunk.labels)
            met.append(chunk.labels)
            scored = []
            for name, adapter in self.adapters.items():
                if adapter.sees == "prior":
                    shown = Chunk(features, logits, _priors(plan, chunk.segments))
                else:
                    shown = seen
                scores, states[name] = adapter.predict(states[name], shown)
                scored.append(_score(scores, labels))
                used = measure_staleness(adapter, chunk.step, chunk.segments, met, subsets)
                if used is not None:
                    stale.setdefault(name, []).append(used[:, :real])
            predictions, confidences, losses = (np.stack(part)[:, :real] for part in zip(*scored, strict=True))
            pieces.append(
                (
                    chunk.segments[:real],
                    chunk.images[:real],
                    chunk.labels[:real],
                    predictions,
                    confidences,
                    losses,
                )
            )
        joined = [np.concatenate(part, axis=-1) for part in zip(*pieces, strict=True)]
        kept = Plan(plan.starts[:real], plan.priors[:real], plan.severity[:real], plan.superclass[:real])
        staleness = {name: np.concatenate(parts, axis=2) for name, parts in stale.items()}
        return CohortResult(cohort, clients[:real], kept, staleness, *joined)


def _priors(plan: Plan, segments: NDArray[np.int64]) -> torch.Tensor:
    """The class prior at each step, float32 [K, T, C]."""
    rows = np.arange(len(segments))[:, None]
    return torch.from_numpy(plan.priors[rows, segments].astype(np.float32))


def _score(
    scores: torch.Tensor, labels: torch.Tensor
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Prediction, its confidence and the label's negative log-likelihood at each step, each [K, T]."""
    with torch.inference_mode():
        best, prediction = scores.max(dim=-1)
        normaliser = torch.logsumexp(scores, dim=-1)
        of_label = scores.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        confidence = torch.exp(best - normaliser)
        return prediction.to(torch.int32).numpy(), confidence.numpy(), (normaliser - of_label).numpy()
