"""Simulating a cohort: a pure function of (settings, artifacts, cohort number).

For every chunk of the cohort's streams each adapter predicts, the predictions are scored, and the adapter's state after the
chunk replaces the one before. Labels stay on this side of the adapters.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from iciia.adapters import Adapter, Chunk, IciiaAdapter
from iciia.adapters.source import Source
from iciia.cloud.features import FeatureStore
from iciia.contexts.module import Module
from sim.addresses import Location
from sim.cloud.live import LiveStore
from sim.cohort.adapters import build_adapters
from sim.cohort.fleet import FittedAdapter
from sim.cohort.protocols import PredictionFailedAt, predict_sets, steps_together
from sim.cohort.result import CohortResult, Fleet
from sim.cohort.scoring import score
from sim.cohort.staleness import measure_staleness, subsets_of
from sim.errors import SimulationError
from sim.scenario.adapters import AnyAdapterSettings
from sim.scenario.clients import ClientsSettings
from sim.streams.build import build_stream
from sim.streams.devices import draw_devices
from sim.streams.stream import Streams

_STEPS = (1, 1, 1, 2, 2, 2, 2)
"""The axis of steps in the segments, images, labels, predictions, confidences, losses and ranks of a chunk."""


@dataclass(frozen=True)
class Job:
    """What simulating any cohort takes.

    Args:
        clients: The scenario's `clients`.
        adapters: Its `adapters`.
        protocol: Its `protocol`.
        seed: The seed of the streams.
        superclass: Superclass of each class, int64 [C]; None where classes are not grouped.
        store: Features of the images that clients see.
        modules: Trained modules by name.
        source: What the cloud tells every adapter.
        owners: Natural client of each image, int64 [M]; None if the data have none.
        times: When each was taken, float64 [M]; None if the data do not say.
    """

    clients: ClientsSettings
    adapters: Sequence[AnyAdapterSettings]
    protocol: str
    seed: int
    superclass: NDArray[np.int64] | None
    store: FeatureStore
    modules: Mapping[str, Module]
    source: Source
    owners: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None

    def stream(self) -> Streams:
        """The clients' streams."""
        labels = np.asarray(self.store.labels)
        return build_stream(
            self.clients, self.seed, self.superclass, labels, self.store.classes, self.owners, self.times
        )


class CohortSimulator:
    """Simulates cohorts of one job.

    Args:
        job: What to simulate.

    Attributes:
        adapters: The job's adapters, by name and in order.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.store = job.store
        self.stream = job.stream()
        self.adapters: dict[str, Adapter] = build_adapters(list(job.adapters), job.modules, job.source, job.clients)

    def simulate(self, cohort: int) -> CohortResult:
        """Simulates one cohort. The result depends on nothing but the job and the cohort's number.

        The cohort always has its full size: clients beyond the scenario's count fill it up and are dropped at the end, because
        a float product's last bits depend on its shape.

        Raises:
            PredictionFailed: An adapter raised an error, or gave scores that are not numbers.
        """
        settings = self.job.clients
        clients = np.arange(cohort * settings.cohort, (cohort + 1) * settings.cohort)
        return self._simulate(cohort, clients, slice(0, settings.count - int(clients[0])))

    def replay(self, client: int, length: int | None = None) -> CohortResult:
        """Simulates one client again, alone, to the same bits: all rows of its cohort are this client.

        Args:
            client: Its number.
            length: Steps in a chunk; the scenario's if None. Another length may change the last bits. The paper's protocols have no
                chunks.

        Raises:
            PredictionFailed: As in the run.
        """
        cohort, row = divmod(client, self.job.clients.cohort)
        clients = np.full(self.job.clients.cohort, client)
        return self._simulate(cohort, clients, slice(row, row + 1), length)

    def explain(self, cohort: int, error: Exception, folder: Location) -> Exception:
        """What to tell the reader about an error that `simulate` raised: which client and step it was, and how to replay it."""
        if not isinstance(error, PredictionFailed):
            return error
        settings = self.job.clients
        first = cohort * settings.cohort
        there = shlex.quote(str(folder))
        go_on = f"what was committed stays; go on with --resume {there}"
        for client in range(first, min(first + settings.cohort, settings.count)):
            alone = self._failure_of(client)
            if alone is not None:
                return SimulationError(
                    f"client {client}, step {alone.step}, adapter {alone.adapter!r}, seed {self.job.seed}: {alone.cause!r}\n"
                    f"replay this client alone: iciia replay {there} --client {client}\n{go_on}"
                )
        return SimulationError(
            f"cohort {cohort}, step {error.step} or later in its chunk, adapter {error.adapter!r}, seed {self.job.seed}: "
            f"{error.cause!r}\nno client of it fails alone; {go_on}"
        )

    def _failure_of(self, client: int) -> "PredictionFailed | None":
        """How a client fails alone, with the exact step where it also fails one image at a time; None if it does not."""
        found = None
        for length in (None, 1):
            try:
                self.replay(client, length)
            except PredictionFailed as failed:
                found = failed
            else:
                return found
        return found

    def _simulate(
        self, cohort: int, clients: NDArray[np.int64], kept: slice, length: int | None = None
    ) -> CohortResult:
        settings = self.job.clients
        streaming = self.job.protocol == "stream"
        plan, lengths = self.stream.plan(clients), self.stream.lengths(clients)
        states = {name: adapter.start(clients, self.job.seed) for name, adapter in self.adapters.items() if streaming}
        pieces = []
        alarms: dict[str, list[NDArray[np.bool_]]] = {}
        met: list[NDArray[np.int64]] = []
        diagnosed: dict[str, list[NDArray[np.float32]]] = {
            name: []
            for name, adapter in self.adapters.items()
            if isinstance(adapter, IciiaAdapter) and adapter.diagnostics
        }
        subsets = np.zeros(0, dtype=bool)
        if diagnosed:
            subsets = subsets_of(plan, settings.subset.reserve_ratio, self.stream.everybody)
        if not streaming or length is None:
            length = steps_together(self.job.protocol, settings.chunk, lengths)
        for chunk in self.stream.chunks(clients, length, plan):
            if isinstance(self.store, LiveStore):
                features, logits = self.store.look_up(chunk.images, clients, chunk.step)
            else:
                features, logits = self.store.gather(chunk.images)
            seen = Chunk(features, logits)
            labels = torch.from_numpy(chunk.labels)
            before = met[-1][:, -1:] if met else np.full((len(clients), 1), -1)
            met.append(chunk.labels)
            scored = []
            for name, adapter in self.adapters.items():
                shown = seen
                if adapter.sees == "prior":
                    shown = replace(seen, prior=torch.from_numpy(plan.at(chunk.step, chunk.segments)))
                elif adapter.sees == "past_labels":
                    past = np.concatenate([before, chunk.labels[:, :-1]], axis=1)
                    shown = replace(seen, past_labels=torch.from_numpy(past))
                try:
                    if streaming:
                        scores, states[name] = adapter.predict(states[name], shown)
                    else:
                        scores = predict_sets(self.job.protocol, adapter, clients, self.job.seed, shown, lengths)
                    scored.append(score(scores, labels, adapter.gives))
                except PredictionFailedAt as failed:
                    raise PredictionFailed(name, failed.step, failed.cause) from failed.cause
                except Exception as error:
                    raise PredictionFailed(name, chunk.step, error) from error
                if streaming and adapter.alarms is not None:
                    alarms.setdefault(name, []).append(adapter.alarms[kept])
                if name in diagnosed:
                    used = measure_staleness(adapter, chunk.step, chunk.segments, met, subsets)
                    diagnosed[name].append(used[:, kept])
            found = (np.stack(part)[:, kept] for part in zip(*scored, strict=True))
            pieces.append((chunk.segments[kept], chunk.images[kept], chunk.labels[kept], *found))
        joined = [np.concatenate(part, axis=axis) for part, axis in zip(zip(*pieces, strict=True), _STEPS, strict=True)]
        staleness = {name: np.concatenate(parts, axis=2) for name, parts in diagnosed.items()}
        clients, lengths = clients[kept], lengths[kept]
        owners = self.stream.owner(clients)
        detected = {name: np.concatenate(parts, axis=1) for name, parts in alarms.items()}
        return CohortResult(
            cohort,
            clients,
            owners,
            self._fleet(clients),
            lengths,
            self.job.protocol,
            plan.rows(kept),
            staleness,
            detected,
            *joined,
        )

    def _fleet(self, clients: NDArray[np.int64]) -> Fleet | None:
        """The devices of the clients, [K]; None if they have none."""
        shares = self.job.clients.devices
        if not shares:
            return None
        drawn = draw_devices(shares, self.job.seed, clients)
        fitted = {name: one.capacities[drawn] for name, one in self.adapters.items() if isinstance(one, FittedAdapter)}
        return Fleet(list(shares), drawn, fitted)


class PredictionFailed(Exception):
    """An adapter failed.

    Args:
        adapter: Its name.
        step: First stream step of the chunk, or of the set, that it fails in.
        cause: What it raised.
    """

    def __init__(self, adapter: str, step: int, cause: Exception) -> None:
        super().__init__(adapter, step, cause)
        self.adapter, self.step, self.cause = adapter, step, cause
