"""ICIIA as an adapter: one trained module, one bank capacity."""

import torch
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.bank import FeatureBank
from iciia.model import ICIIA
from iciia.overhead import Cost, cost_of


class IciiaAdapter(Adapter):
    """Calibrates each prediction by attention over the client's bank.

    Args:
        module: The trained module, shared by all clients.
        capacity: N, the most images a client's bank may hold.
        storage: How the bank keeps its numbers.
    """

    kind = "iciia"

    def __init__(self, module: ICIIA, capacity: int, storage: torch.dtype = torch.float32) -> None:
        self.module = module.eval()
        self.capacity: int = capacity
        self.storage = storage

    def start(self, clients: int) -> FeatureBank:
        return self.module.empty_bank(clients, self.capacity, self.storage)

    @torch.inference_mode()
    def predict(self, state: FeatureBank, chunk: Chunk) -> tuple[Tensor, FeatureBank]:
        logits, bank = self.module(chunk.features, chunk.logits, state)
        return logits, bank

    def cost(self) -> Cost:
        return cost_of(self.module, self.capacity, self.storage.itemsize)
