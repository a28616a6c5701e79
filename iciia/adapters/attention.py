"""ICIIA, and the default module of priors, as an adapter: one trained module, one bank."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.banks.bank import FeatureBank
from iciia.banks.predictions import PredictionBank
from iciia.contexts.iciia import ICIIA
from iciia.contexts.priors import ClientPriors
from iciia.contexts.set import COLUMNS
from iciia.overhead import Cost, cost_of
from iciia.policies import Fifo, Policy

CAUSAL = ("stream", "priors")
"""Contexts for which the order of a set's images means something."""

SETS = 16
"""Sets that go through a module together at least."""


class IciiaAdapter(Adapter):
    """Calibrates each prediction by the client's bank.

    Args:
        module: The trained module, shared by all clients.
        capacity: N, the most images a client's bank may hold.
        storage: How the bank keeps its numbers.
        policy: Which images a full bank keeps; None for the latest.
        diagnostics: Whether `attention` and `arrivals` are kept of each chunk. Stream context only.

    Attributes:
        attention: With diagnostics: by what weights the last chunk's targets attended, means over heads and layers, [K, T, N + T].
        arrivals: With diagnostics: the steps at which what they attended to arrived, int64 [K, N + T].
    """

    kind = "iciia"
    of_classes = False

    def __init__(
        self,
        module: ICIIA | ClientPriors,
        capacity: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        diagnostics: bool = False,
    ) -> None:
        self.module = module.eval()
        self.knows = module.knows
        self.capacity: int = capacity
        self.storage = storage
        self.policy = policy or Fifo()
        self.diagnostics = diagnostics
        self.attention: Tensor | None = None
        self.arrivals: Tensor | None = None

    def start(self, clients: NDArray[np.int64], seed: int) -> FeatureBank | PredictionBank:
        return self.module.empty_bank(clients, self.capacity, self.storage, self.policy, seed)

    @torch.inference_mode()
    def predict(self, state: Any, chunk: Chunk) -> tuple[Tensor, FeatureBank | PredictionBank]:
        if not self.diagnostics:
            logits, bank = self.module(chunk.features, chunk.logits, state, chunk.evidence)
            self.alarms = bank.keeper.alarms
            return logits, bank
        clients, targets = chunk.features.shape[:2]
        now = torch.arange(targets) + state.seen
        held = state.keeper.steps()  # before the chunk
        self.arrivals = torch.cat([held.expand(clients, -1), now.expand(clients, -1)], dim=1)
        attention: list[Tensor] = []
        logits, bank = self.module(chunk.features, chunk.logits, state, chunk.evidence, attention)
        self.attention = torch.cat(attention)
        self.alarms = bank.keeper.alarms
        return logits, bank

    @torch.inference_mode()
    def predict_set(self, clients: NDArray[np.int64], seed: int, chunk: Chunk) -> Tensor:
        if self.module.context in CAUSAL:  # what a bank keeps of an image depends on what came before it
            return super().predict_set(clients, seed, chunk)
        return self._sets(chunk, last_only=False)

    @torch.inference_mode()
    def predict_last(self, clients: NDArray[np.int64], seed: int, chunk: Chunk) -> Tensor:
        if self.module.context in CAUSAL:
            return super().predict_last(clients, seed, chunk)
        return self._sets(chunk, last_only=True)[:, 0]

    def _sets(self, chunk: Chunk, last_only: bool) -> Tensor:
        """A few sets at a time: more would not stay in a core's cache."""
        assert isinstance(self.module, ICIIA)
        together = max(SETS, COLUMNS // chunk.features.shape[1])
        parts = zip(chunk.features.split(together), chunk.logits.split(together), strict=True)
        return torch.cat([self.module.forward_sets(f, z, last_only) for f, z in parts])

    def cost(self) -> Cost:
        return cost_of(self.module, self.capacity, self.storage, self.policy)
